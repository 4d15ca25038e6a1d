"""What was seen over time, beside what was expected: a cluster's days, a machine's or a job's hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from gpulake.charts.calendar import Calendar
from gpulake.charts.chart import PLOT_WIDTH, Chart
from gpulake.charts.colours import colour
from gpulake.charts.rows import Column, fill_gaps, rows_of
from gpulake.charts.theme import config

PANEL_PX = 190

LEGEND = "line: seen · upright bars: holds the truth nine times in ten · dashes and band: expected · large dots: measured well · diamonds: flagged (full: by this figure) · grey ground: not judged"
"""What the marks of days mean."""

MOST_NAMES = 8
"""Flagged days that are named in the picture; more would be a wall of text."""


@dataclass(frozen=True)
class Seen:
    """Which columns a line shows: the value, what was expected of it, and the band around that; `unit` stands above the axis.

    `at_least` and `at_most`: between what the value itself lies nine times in ten.
    """

    value: str
    unit: str
    expected: str | None = None
    low: str | None = None
    high: str | None = None
    at_least: str | None = None
    at_most: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that there are."""
        return [
            name
            for name in (self.value, self.expected, self.low, self.high, self.at_least, self.at_most)
            if name is not None
        ]


CLUSTER_USE = Seen(
    "avg_gpu_util",
    "mean GPU use, % of measured GPU time",
    "expected_gpu_util",
    "expected_low",
    "expected_high",
    at_least="avg_gpu_util_low",
    at_most="avg_gpu_util_high",
)
HELD_USE = Seen(
    "allocated_gpu_util",
    "use of held GPUs, %",
    "expected_allocated_gpu_util",
    "expected_allocated_low",
    "expected_allocated_high",
)
TYPICAL_USE = Seen(
    "typical_job_gpu_util",
    "use by a typical job, %",
    "expected_typical_gpu_util",
    "expected_typical_low",
    "expected_typical_high",
)
"""The three figures by which a day of `gold_cluster_util_daily_scored` is judged."""


def use_by_day(
    table: pa.Table,
    *,
    title: str,
    seen: Sequence[Seen] = (CLUSTER_USE,),
    subtitle: str = "",
    calendar: Calendar | None = None,
) -> Chart:
    """A line per figure with its expected band, flagged days marked, and how much of each day was measured.

    Wants rows of `gold_cluster_util_daily_scored` of one cluster. A day that was measured thinly has a small dot, one that was not judged a grey
    ground, one without a figure a gap.
    """
    calendar = calendar or Calendar()
    names = [name for each in seen for name in each.columns]
    filled = fill_gaps(table, "dt", timedelta(days=1))
    rows = rows_of(
        filled, ["dt", *names, "coverage_ratio", "judgement", "anomaly_driver", "anomaly_reason"], calendar=calendar
    )
    flagged = [row for row in rows if row["judgement"] == "anomaly"]
    named = _named(rows) if len(flagged) <= MOST_NAMES * 2 else []
    # Every panel has the same days, so that they stand below each other; only the last names them.
    axis = calendar.day_axis([row["dt"] for row in rows])
    panels = [
        _panel(
            each,
            calendar,
            with_names=i == 0,
            unit="utcyearmonthdate",
            at="dt",
            axis={**axis, "labels": False, "title": None},
        )
        for i, each in enumerate(seen)
    ]
    spec = {
        "config": config(),
        "data": {"name": "days"},
        "transform": [{"calculate": calendar.spelled_day("dt"), "as": "when"}],
        "vconcat": [*panels, _coverage(axis)],
        "resolve": {"scale": {"x": "shared"}},
    }
    return Chart(
        title=title,
        subtitle=subtitle or LEGEND,
        description=f"{len(rows)} days of {seen[0].unit}, {len(flagged)} of them flagged, with the band that was expected and the share that was measured.",
        spec=spec,
        rows={"days": rows, "named": named},
        columns=(
            Column("dt", "day", "day"),
            *(Column(name, name.replace("_", " ")) for name in names),
            Column("coverage_ratio", "measured", "ratio"),
            Column("judgement", "judged", "name"),
            Column("anomaly_reason", "why", "name"),
        ),
        calendar=calendar,
    )  # fmt: skip


def series(
    table: pa.Table, *, title: str, seen: Seen, at: str = "hour_start_at", step: timedelta = timedelta(hours=1),
    mark: str | None = None, why: str | None = None, subtitle: str = "", calendar: Calendar | None = None,
) -> Chart:  # fmt: skip
    """One value of a machine or a job over time, with its band where one is known.

    Wants one row per step of `at`; `mark` names a column whose value "anomaly" puts a diamond on a row, and `why` the column that says why.
    """
    calendar = calendar or Calendar()
    names = [at, *seen.columns, *([mark] if mark else []), *([why] if why else [])]
    rows = rows_of(fill_gaps(table, at, step), names, calendar=calendar)
    is_daily = pa.types.is_date(table.schema.field(at).type)
    times = [row[at] for row in rows]
    axis = calendar.day_axis(times) if is_daily else calendar.instant_axis(times)
    unit = "utcyearmonthdate" if is_daily else None
    spec = {
        "config": config(),
        "data": {"name": "steps"},
        "transform": [
            {"calculate": calendar.spelled_day(at) if is_daily else calendar.spelled_instant(at), "as": "when"}
        ],
        **_panel(
            seen,
            calendar,
            with_names=False,
            unit=unit,
            at=at,
            axis=axis,
            coverage=None,
            judgement=mark,
            driver=None,
            why=why,
        ),
    }
    return Chart(
        title=title,
        subtitle=subtitle,
        description=f"{seen.unit}, {len(rows)} steps" + (f", {sum(row[mark] == 'anomaly' for row in rows)} of them marked." if mark else "."),
        spec=spec,
        rows={"steps": rows},
        columns=(Column(at, "day" if is_daily else "time", "day" if is_daily else "instant"), *(Column(name, name.replace("_", " ")) for name in seen.columns),
                 *((Column(mark, "judged", "name"),) if mark else ()), *((Column(why, "why", "name"),) if why else ())),
        calendar=calendar,
    )  # fmt: skip


def _panel(
    seen: Seen, calendar: Calendar, *, with_names: bool, unit: str | None, at: str, axis: dict[str, Any],
    coverage: str | None = "coverage_ratio", judgement: str | None = "judgement",
    driver: str | None = "anomaly_driver", why: str | None = "anomaly_reason",
) -> dict[str, Any]:  # fmt: skip
    x: dict[str, Any] = {"field": at, "type": "temporal", "scale": {"type": "utc"}, "axis": axis}
    # A day's figure stands in the middle of the day.
    middle = {**x, "timeUnit": unit, "bandPosition": 0.5} if unit else x
    y: dict[str, Any] = {
        "type": "quantitative",
        "scale": {"zero": True, "nice": True},
        "axis": {"tickCount": 4, **({"titleY": -18} if with_names else {})},
        "title": seen.unit,
    }
    tooltip = [
        {"field": "when", "type": "nominal", "title": "when"},
        {"field": seen.value, "type": "quantitative", "format": ",.1f", "title": "seen"},
        *([{"field": seen.at_least, "type": "quantitative", "format": ",.1f", "title": "at least"}] if seen.at_least else []),
        *([{"field": seen.at_most, "type": "quantitative", "format": ",.1f", "title": "at most"}] if seen.at_most else []),
        *([{"field": seen.expected, "type": "quantitative", "format": ",.1f", "title": "expected"}] if seen.expected else []),
        *([{"field": seen.low, "type": "quantitative", "format": ",.1f", "title": "from"}] if seen.low else []),
        *([{"field": seen.high, "type": "quantitative", "format": ",.1f", "title": "to"}] if seen.high else []),
        *([{"field": coverage, "type": "quantitative", "format": ".0%", "title": "measured"}] if coverage else []),
        *([{"field": why, "type": "nominal", "title": "why"}] if why else []),
    ]  # fmt: skip
    layers: list[dict[str, Any]] = []
    if judgement and unit:
        layers.append({
            "transform": [{"filter": f"datum.{judgement} == 'not_judged'"}],
            "mark": {"type": "rect", "color": colour("shade")},
            "encoding": {"x": {**x, "timeUnit": unit}, "y": {"value": 0}, "y2": {"value": PANEL_PX}},
        })  # fmt: skip
    if judgement and unit:
        layers.append({
            "transform": [{"filter": f"datum.{judgement} == 'anomaly'"}],
            "mark": {"type": "rule", "color": colour("anomaly"), "opacity": 0.45, "strokeWidth": 1},
            "encoding": {"x": middle},
        })  # fmt: skip
    if seen.low and seen.high:
        layers.append({
            "mark": {"type": "area", "color": colour("expected"), "opacity": 0.22, "invalid": "break-paths-show-domains"},
            "encoding": {"x": middle, "y": {**y, "field": seen.low}, "y2": {"field": seen.high}},
        })  # fmt: skip
    if seen.expected:
        layers.append({
            "mark": {"type": "line", "color": colour("expected"), "strokeWidth": 1.2, "strokeDash": [4, 3], "invalid": "break-paths-show-domains"},
            "encoding": {"x": middle, "y": {**y, "field": seen.expected}},
        })  # fmt: skip
    if seen.at_least and seen.at_most:
        layers.append({
            "mark": {"type": "rule", "color": colour("active"), "opacity": 0.45, "strokeWidth": 2.5},
            "encoding": {"x": middle, "y": {**y, "field": seen.at_least}, "y2": {"field": seen.at_most}},
        })  # fmt: skip
    layers.append({
        "mark": {"type": "line", "color": colour("active"), "invalid": "break-paths-show-domains"},
        "encoding": {"x": middle, "y": {**y, "field": seen.value}},
    })  # fmt: skip
    size: dict[str, Any] = (
        {
            "field": coverage,
            "type": "quantitative",
            "legend": None,
            "scale": {"domain": [0, 1], "range": [4, 54], "clamp": True},
        }
        if coverage
        else {"value": 7}
    )
    layers.append({
        "mark": {"type": "point", "filled": True, "opacity": 1, "color": colour("active"), "stroke": colour("paper"), "strokeWidth": 0.8 if coverage else 0},
        "encoding": {"x": middle, "y": {**y, "field": seen.value}, "size": size, "tooltip": tooltip},
    })  # fmt: skip
    if judgement:
        # Full where this figure made the row unusual, hollow where another did.
        is_driver = f"!isValid(datum.{driver}) || datum.{driver} == '{seen.value}'" if driver else "true"
        diamond = {"type": "point", "shape": "diamond", "filled": True, "opacity": 1, "size": 120, "strokeWidth": 1.4}
        for test, fill, edge in ((is_driver, "anomaly", "paper"), (f"!({is_driver})", "paper", "anomaly")):
            layers.append({
                "transform": [{"filter": f"datum.{judgement} == 'anomaly' && ({test})"}],
                "mark": {**diamond, "fill": colour(fill), "stroke": colour(edge)},
                "encoding": {"x": middle, "y": {**y, "field": seen.value}, "tooltip": tooltip},
            })  # fmt: skip
    if with_names:
        layers.append({
            "data": {"name": "named"},
            "transform": [{"calculate": replace(calendar, has_weekdays=False).spelled_day(at), "as": "when"}],
            "mark": {"type": "text", "y": -3, "baseline": "bottom", "color": colour("anomaly"), "fontWeight": "bold", "fontSize": 10.5},
            "encoding": {"x": middle, "text": {"field": "when", "type": "nominal"}},
        })  # fmt: skip
    return {"width": PLOT_WIDTH, "height": PANEL_PX, "layer": layers}


def _coverage(axis: dict[str, Any]) -> dict[str, Any]:
    return {
        "width": PLOT_WIDTH,
        "height": 34,
        "mark": {"type": "bar", "color": colour("total"), "binSpacing": 1},
        "encoding": {
            "x": {"field": "dt", "type": "temporal", "timeUnit": "utcyearmonthdate", "scale": {"type": "utc"}, "axis": axis},
            "y": {"field": "coverage_ratio", "type": "quantitative", "title": "measured share of all GPU time", "scale": {"domain": [0, 1]},
                  "axis": {"format": ".0%", "values": [0, 0.5, 1]}},
            "tooltip": [{"field": "when", "type": "nominal", "title": "day"},
                        {"field": "coverage_ratio", "type": "quantitative", "format": ".1%", "title": "measured"}],
        },
    }  # fmt: skip


def _named(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first day of each run of flagged days, so that names do not cover each other."""
    flags = [row["judgement"] == "anomaly" for row in rows]
    starts = [
        row
        for row, is_flagged, was_flagged in zip(rows, flags, [False, *flags], strict=False)
        if is_flagged and not was_flagged
    ]
    return starts[:MOST_NAMES]
