"""Where the GPU-hours went: the parts of the capacity, in one bar per step of a waterfall, or per day or hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from gpulake.charts.calendar import Calendar
from gpulake.charts.chart import LEGEND_COLUMNS, PLOT_WIDTH, Chart
from gpulake.charts.colours import colour
from gpulake.charts.marks import Mark, mark_layers, marked_rows, told_by_step
from gpulake.charts.rows import Column, fill_gaps, rows_of
from gpulake.charts.theme import config
from gpulake.errors import UsageError

PARTS: Mapping[str, tuple[str, str]] = {
    "active_gpu_h": ("active", "in use"),
    "idle_held_gpu_h": ("idle_held", "held, idle"),
    "unknown_gpu_h": ("unknown", "held, not measured"),
    "unallocated_gpu_h": ("unallocated", "held by nobody"),
    "down_gpu_h": ("down", "down"),
}
"""By column: its colour, and what people call it. From the ground up: what was used first, what could not be used last."""

STEPS: Mapping[str, tuple[str, str]] = {
    "down_gpu_h": ("down", "down"),
    "unallocated_gpu_h": ("unallocated", "held by nobody"),
    "unknown_gpu_h": ("unknown", "held, use not measured"),
    "idle_held_gpu_h": ("idle_held", "held, measured, idle"),
    "failed_active_gpu_h": ("failed", "in use by jobs that failed"),
    "productive_gpu_h": ("active", "in use otherwise"),
}

OR_DOWN = "held by nobody, or down"

WATERFALL_LEFT_PX, WATERFALL_RIGHT_PX, WATERFALL_MONEY_PX = 178, 176, 88


def capacity_waterfall(table: pa.Table, *, title: str, subtitle: str = "", calendar: Calendar | None = None) -> Chart:
    """From all GPU-hours down to those put to use, one bar per class. Wants one row of `gold_waste_window`.

    What each class cost stands beside it where the row has that too (`<class>_usd`, and `starts_at_usd`).
    Where the source tells of no machines the bars start at what jobs held. Raises UsageError on more than a row.
    """
    calendar = calendar or Calendar()
    if table.num_rows != 1:
        raise UsageError(
            f"a waterfall wants one row, not {table.num_rows:,}.", do="select one cluster of gold_waste_window"
        )
    ratios = {name: name.replace("_gpu_h", "_ratio") for name in STEPS}
    costs = {name: name.replace("_gpu_h", "_usd") for name in ("starts_at_gpu_h", *STEPS)}
    priced = [cost for cost in costs.values() if cost in table.column_names]
    row = rows_of(
        table, ["starts_at_capacity", "starts_at_gpu_h", *STEPS, *ratios.values(), *priced], calendar=calendar
    )[0]
    first = "capacity" if row["starts_at_capacity"] else "held by jobs"
    rows: list[dict[str, Any]] = [
        {
            "step": first,
            "kind": "total",
            "gpu_h": row["starts_at_gpu_h"],
            "ratio": None,
            "usd": row.get("starts_at_usd"),
            "below": 0,
        }
    ]
    rows += [
        {
            "step": _called(name, words, row),
            "kind": kind,
            "gpu_h": row[name],
            "ratio": row[ratios[name]],
            "usd": row.get(costs[name]),
            "below": 1,
        }
        for name, (kind, words) in STEPS.items()
        if row[name] is not None and (row["starts_at_capacity"] or kind not in {"down", "unallocated"})
    ]
    kinds = list(dict.fromkeys(each["kind"] for each in rows))
    bars: dict[str, Any] = {
        "y": {"field": "step", "type": "nominal", "sort": None, "title": None,
              "axis": {"labelColor": colour("ink"), "labelFontSize": 12, "labelAlign": "left", "labelPadding": WATERFALL_LEFT_PX - 2,
                       "minExtent": WATERFALL_LEFT_PX, "maxExtent": WATERFALL_LEFT_PX, "labelLimit": WATERFALL_LEFT_PX - 8}},
        "x": {"field": "from", "type": "quantitative", "axis": None, "scale": {"nice": False, "zero": True}},
        "x2": {"field": "to"},
        "tooltip": [
            {"field": "step", "type": "nominal", "title": "part"},
            {"field": "gpu_h", "type": "quantitative", "format": ",.1f", "title": "GPU-hours"},
            {"field": "ratio", "type": "quantitative", "format": ".1%", "title": "share"},
            *([{"field": "usd", "type": "quantitative", "format": ",.0f", "title": "USD"}] if priced else []),
        ],
    }  # fmt: skip
    coloured = {"field": "kind", "type": "nominal", "legend": None,
                "scale": {"domain": kinds, "range": [colour(kind) for kind in kinds]}}  # fmt: skip
    spec = {
        "config": config(),
        "width": PLOT_WIDTH,
        "height": {"step": 30},
        "data": {"name": "steps"},
        # Where a bar begins is layout, as in any stack: each hangs from the end of the one above.
        "transform": [
            {"calculate": "datum.below ? datum.gpu_h : 0", "as": "left_over"},
            {"window": [{"op": "sum", "field": "left_over", "as": "gone"}], "frame": [None, 0]},
            {"joinaggregate": [{"op": "max", "field": "gpu_h", "as": "all"}]},
            {"calculate": "datum.below ? datum.all - datum.gone : 0", "as": "from"},
            {"calculate": "datum.from + datum.gpu_h", "as": "to"},
            {"calculate": "!isValid(datum.ratio) ? '' : datum.ratio > 0 && datum.ratio < 0.0005 ? ' · < 0.1 %' : ' · ' + format(datum.ratio * 100, '.1f') + ' %'", "as": "share"},
            {"calculate": "isValid(datum.usd) ? ' · ' + format(datum.usd, ',.0f') + ' USD' : ''", "as": "money"},
            {"calculate": "format(datum.gpu_h, datum.gpu_h < 100 ? ',.1f' : ',.0f') + ' GPU-h' + datum.share + datum.money", "as": "words"},
        ],
        "encoding": bars,
        "layer": [
            {"mark": {"type": "bar", "height": 20},
             "encoding": {"color": coloured}},
            # A thin line where the next bar begins leads the eye from bar to bar.
            {"mark": {"type": "tick", "color": colour("soft"), "thickness": 1, "height": 28, "opacity": 0.6},
             "transform": [{"filter": "datum.below"}],
             "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": None}},
            {"mark": {"type": "text", "align": "left", "dx": 8, "fontSize": 12},
             "encoding": {"x": {"field": "to", "type": "quantitative"}, "x2": None, "text": {"field": "words", "type": "nominal"}}},
        ],
    }  # fmt: skip
    # On a phone each bar has its words above it, and the whole width.
    words: dict[str, Any] = {"y": {**bars["y"], "axis": None}, "x2": None}
    narrow: dict[str, Any] = {
        **spec,
        "height": {"step": 42},
        "encoding": {**bars, "y": {**bars["y"], "axis": None}},
        "layer": [
            {"mark": {"type": "bar", "height": 13, "yOffset": 9}, "encoding": {"color": coloured}},
            {"mark": {"type": "text", "align": "left", "yOffset": -8, "fontSize": 12},
             "encoding": {**words, "x": {"value": 0}, "text": {"field": "step", "type": "nominal"}}},
            {"mark": {"type": "text", "align": "right", "yOffset": -8, "fontSize": 12},
             "encoding": {**words, "x": {"value": {"expr": "width"}}, "text": {"field": "words", "type": "nominal"}}},
        ],
    }  # fmt: skip
    return Chart(
        title=title,
        subtitle=subtitle,
        narrow=narrow,
        description="; ".join(
            f"{each['step']}: {each['gpu_h']:,.0f} GPU-hours" for each in rows if each["gpu_h"] is not None
        )
        + ".",
        spec=spec,
        rows={"steps": rows},
        columns=(
            Column("step", "part", "name"),
            Column("gpu_h", "GPU-hours"),
            Column("ratio", "share", "ratio"),
            *([Column("usd", "USD")] if priced else []),
        ),
        left_px=WATERFALL_LEFT_PX,
        right_px=WATERFALL_RIGHT_PX + (WATERFALL_MONEY_PX if priced else 0),
        calendar=calendar,
    )


def parts_by_day(
    table: pa.Table, *, title: str, subtitle: str = "", marks: Sequence[Mark] = (), calendar: Calendar | None = None
) -> Chart:
    """A bar per day, parted into what became of its GPU-hours. Wants `dt` and the columns of PARTS, one row per day."""
    return _stack(table, "dt", timedelta(days=1), title, subtitle, marks, calendar or Calendar())


def parts_by_hour(
    table: pa.Table, *, title: str, subtitle: str = "", marks: Sequence[Mark] = (), calendar: Calendar | None = None
) -> Chart:
    """A bar per hour. Wants `hour_start_at` and the columns of PARTS, one row per hour."""
    return _stack(table, "hour_start_at", timedelta(hours=1), title, subtitle, marks, calendar or Calendar())


def _stack(
    table: pa.Table,
    at: str,
    step: timedelta,
    title: str,
    subtitle: str,
    marks: Sequence[Mark],
    calendar: Calendar,
) -> Chart:
    if len(set(table.column(at).to_pylist())) != table.num_rows:
        raise UsageError(
            f"two rows have the same {at}.", do="sum the pools of a cluster in the query, and select one cluster"
        )
    rows = rows_of(fill_gaps(table, at, step), [at, *PARTS], calendar=calendar)
    recorded = [name for name in PARTS if any(row[name] is not None for row in rows)]
    words = {
        name: OR_DOWN if name == "unallocated_gpu_h" and "down_gpu_h" not in recorded else PARTS[name][1]
        for name in recorded
    }
    is_daily = at == "dt"
    marked = marked_rows(marks, [row[at] for row in rows], calendar=calendar)
    called = {mark.kind: mark.words for mark in marks if any(row["kind"] == mark.kind for row in marked)}
    told = told_by_step(marked)
    rows = [{**row, "told": told.get(row[at])} for row in rows] if marked else rows
    spec = {
        "config": config(),
        "width": PLOT_WIDTH,
        "height": 210,
        **_bars(rows, at, recorded, words, calendar, is_told=bool(marked)),
    }
    return Chart(
        title=title,
        subtitle=" · ".join(each for each in (subtitle, *called.values()) if each),
        description=f"GPU-hours per {'day' if is_daily else 'hour'}, parted into {_listed(list(words.values()))}"
        + (f"; {len(told):,} of them with a mark: what is unusual, and where incidents began." if told else "."),
        spec=spec,
        rows={"parts": rows, **({"marks": marked} if marked else {})},
        columns=(
            Column(at, "day" if is_daily else "hour", "day" if is_daily else "instant"),
            *(Column(name, words[name]) for name in recorded),
            *([Column("told", "unusual, or an incident began", "name")] if marked else []),
        ),
        calendar=calendar,
    )


def _bars(
    rows: Sequence[Mapping[str, Any]],
    at: str,
    recorded: Sequence[str],
    words: Mapping[str, str],
    calendar: Calendar,
    *,
    is_told: bool,
) -> dict[str, Any]:
    is_daily = at == "dt"
    times = [row[at] for row in rows]
    x = {"field": at, "type": "temporal", "timeUnit": "utcyearmonthdate" if is_daily else "utcyearmonthdatehours", "scale": {"type": "utc"},
         "axis": calendar.day_axis(times) if is_daily else calendar.instant_axis(times)}  # fmt: skip
    when = {"calculate": calendar.spelled_day(at) if is_daily else calendar.spelled_instant(at), "as": "when"}
    bars = {
        "data": {"name": "parts"},
        "transform": [
            when,
            {"fold": recorded, "as": ["part", "gpu_h"]},
            {"calculate": f"indexof({recorded!r}, datum.part)", "as": "from_ground"},
            {"calculate": f"{words!r}[datum.part]", "as": "called"},
        ],
        "mark": {"type": "bar", "stroke": colour("paper"), "strokeWidth": 0.6 if len(rows) < 100 else 0, "binSpacing": 0},
        "encoding": {
            "x": x,
            "y": {"field": "gpu_h", "type": "quantitative", "stack": "zero", "title": f"GPU-hours per {'day' if is_daily else 'hour'}",
                  "axis": {"tickCount": 4, "format": ",.0~f", **({"titleY": -22} if is_told else {})}},
            "color": {"field": "part", "type": "nominal",
                      "scale": {"domain": recorded, "range": [colour(PARTS[name][0]) for name in recorded]},
                      "legend": {"labelExpr": f"{words!r}[datum.label]", "columns": LEGEND_COLUMNS, **({"offset": 34} if is_told else {})}},
            "order": {"field": "from_ground", "type": "quantitative"},
            "tooltip": [
                {"field": "when", "type": "nominal", "title": "day" if is_daily else "hour"},
                {"field": "called", "type": "nominal", "title": "part"},
                {"field": "gpu_h", "type": "quantitative", "format": ",.1f", "title": "GPU-hours"},
                *([{"field": "told", "type": "nominal", "title": "besides"}] if is_told else []),
            ],
        },
    }  # fmt: skip
    return {"layer": [bars, *mark_layers(at, {**x, "bandPosition": 0.5}, when)]} if is_told else bars


def _called(name: str, words: str, row: Mapping[str, Any]) -> str:
    return OR_DOWN if name == "unallocated_gpu_h" and row["down_gpu_h"] is None else words


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "nothing"
