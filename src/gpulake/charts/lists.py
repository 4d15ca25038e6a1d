"""Who and how long: names with bars, counts over a span of seconds, and the spread of a time by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from gpulake.charts.calendar import Calendar
from gpulake.charts.chart import LEGEND_COLUMNS, PLOT_WIDTH, Chart
from gpulake.charts.colours import colour
from gpulake.charts.parts import PARTS
from gpulake.charts.rows import Column, rows_of
from gpulake.charts.theme import RIGHT_PX, config

NAME_PX, FIGURE_PX, LETTER_PX = 150, 96, 7

SECONDS = {0: "0", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3_600: "1 h", 36_000: "10 h", 86_400: "1 d", 864_000: "10 d", 8_640_000: "100 d"}  # fmt: skip
"""Where an axis of seconds has its ticks; it is logarithmic above a second, and 0 has its place."""


def ranking(
    table: pa.Table, *, title: str, name: str, parts: Sequence[str], subtitle: str = "", unit: str = "GPU-h",
) -> Chart:  # fmt: skip
    """A bar per name, in the table's order, parted into columns of PARTS; the first of `parts` begins at the axis and is told as a figure.

    Wants `name` and the `parts`.
    """
    calendar = Calendar()
    rows = rows_of(table, [name, *parts], calendar=calendar)
    words = {part: PARTS[part][1] for part in parts}
    y = {"field": name, "type": "nominal", "sort": None, "title": None,
         "axis": {"labelColor": colour("ink"), "minExtent": NAME_PX, "maxExtent": NAME_PX, "labelLimit": NAME_PX - 8}}  # fmt: skip
    bars = {
        "transform": [
            {"fold": list(parts), "as": ["part", "gpu_h"]},
            {"calculate": f"indexof({list(parts)!r}, datum.part)", "as": "from_axis"},
            {"calculate": f"{words!r}[datum.part]", "as": "called"},
        ],
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "y": y,
            "x": {"field": "gpu_h", "type": "quantitative", "stack": "zero", "title": "GPU-hours", "axis": {"tickCount": 4, "format": ",.0~f", "titleAnchor": "start"}},
            "order": {"field": "from_axis", "type": "quantitative"},
            "color": {"field": "part", "type": "nominal", "scale": {"domain": list(parts), "range": [colour(PARTS[part][0]) for part in parts]},
                      "legend": {"labelExpr": f"{words!r}[datum.label]", "columns": LEGEND_COLUMNS, "offset": 6} if len(parts) > 1 else None},
            "tooltip": [{"field": name, "type": "nominal", "title": "name"}, {"field": "called", "type": "nominal", "title": "part"},
                        {"field": "gpu_h", "type": "quantitative", "format": ",.1f", "title": "GPU-hours"}],
        },
    }  # fmt: skip
    figure = {
        "transform": [{"calculate": f"isValid(datum['{parts[0]}']) ? format(datum['{parts[0]}'], datum['{parts[0]}'] < 100 ? ',.1f' : ',.0f') + ' {unit}' : '—'", "as": "words"}],
        "mark": {"type": "text", "align": "right", "fontSize": 11},
        "encoding": {"y": y, "x": {"value": {"expr": f"width + {FIGURE_PX - 4}"}}, "text": {"field": "words", "type": "nominal"}},
    }  # fmt: skip
    first = rows[0] if rows else None
    lead = f" The first is {first[name]} with {first[parts[0]] or 0:,.0f} GPU-hours." if first else ""
    return Chart(
        title=title,
        subtitle=subtitle or f"right: {words[parts[0]]}",
        description=f"{len(rows)} names by GPU-hours: {', '.join(words.values())}.{lead}",
        spec={
            "config": config(),
            "width": PLOT_WIDTH,
            "height": {"step": 21},
            "data": {"name": "names"},
            "layer": [bars, figure],
        },
        rows={"names": rows},
        columns=(Column(name, "name", "name"), *(Column(part, words[part]) for part in parts)),
        left_px=NAME_PX,
        right_px=FIGURE_PX,
        calendar=calendar,
    )


def histogram(
    table: pa.Table, *, title: str, low: str, high: str, count: str, noun: str, counted: str = "jobs", subtitle: str = "",
    marks: Sequence[tuple[str, float]] = (),
) -> Chart:  # fmt: skip
    """How many lasted how long, on a logarithmic axis of seconds. Wants the borders `low` and `high` of each bin, and its `count`.

    `marks` are figures to be shown as lines, each with its word: a median, a 90th percentile.
    """
    calendar = Calendar()
    rows = rows_of(table, [low, high, count], calendar=calendar)
    marked = [{"called": word, "at_s": at} for word, at in marks]
    x = _seconds_axis(noun)
    bars = {
        "data": {"name": "bins"},
        "mark": {"type": "bar", "color": colour("active"), "stroke": colour("paper"), "strokeWidth": 0.6},
        "encoding": {
            "x": {**x, "field": low},
            "x2": {"field": high},
            "y": {"field": count, "type": "quantitative", "title": counted, "axis": {"tickCount": 4, "format": ",.0~f"}, "scale": {"zero": True}},
            "y2": {"datum": 0},
            "tooltip": [{"field": low, "type": "quantitative", "format": ",.0f", "title": "from, s"}, {"field": high, "type": "quantitative", "format": ",.0f", "title": "to, s"},
                        {"field": count, "type": "quantitative", "format": ",", "title": counted}],
        },
    }  # fmt: skip
    lines: list[dict[str, Any]] = [
        {"data": {"name": "marks"}, "mark": {"type": "rule", "color": colour("ink"), "strokeWidth": 1}, "encoding": {"x": {**x, "field": "at_s"}}},
        {"data": {"name": "marks"}, "mark": {"type": "text", "align": "left", "dx": 3, "y": 5, "fontSize": 10.5},
         "encoding": {"x": {**x, "field": "at_s"}, "text": {"field": "called", "type": "nominal"}}},
    ]  # fmt: skip
    return Chart(
        title=title,
        subtitle=subtitle,
        description=f"{counted} by {noun}, in bins that grow with it."
        + "".join(f" {word}: {_seconds(at)}." for word, at in marks),
        spec={"config": config(), "width": PLOT_WIDTH, "height": 170, "layer": [bars, *(lines if marked else [])]},
        rows={"bins": rows, "marks": marked},
        columns=(Column(low, "from, s"), Column(high, "to, s"), Column(count, counted)),
        calendar=calendar,
    )


def spread(
    table: pa.Table, *, title: str, name: str, low: str, middle: str, high: str, noun: str, subtitle: str = "",
) -> Chart:  # fmt: skip
    """A bar from a low to a high quantile per group, with the middle as a dot, on a logarithmic axis of seconds. Wants those columns, in the order to be shown."""
    calendar = Calendar()
    rows = rows_of(table, [name, low, middle, high], calendar=calendar)
    # Short names leave their room to the bars, which a phone needs.
    name_px = min(NAME_PX, max((len(str(row[name])) for row in rows), default=0) * LETTER_PX + 16)
    y = {"field": name, "type": "nominal", "sort": None, "title": None,
         "axis": {"labelColor": colour("ink"), "minExtent": name_px, "maxExtent": name_px, "labelLimit": name_px - 8}}  # fmt: skip
    x = _seconds_axis(noun)
    tooltip = [
        {"field": name, "type": "nominal", "title": "group"},
        *(
            {"field": each, "type": "quantitative", "format": ",.0f", "title": each.replace("_", " ")}
            for each in (low, middle, high)
        ),
    ]
    layers = [
        {"mark": {"type": "bar", "height": 5, "cornerRadius": 2, "color": colour("expected")}, "encoding": {"y": y, "x": {**x, "field": low}, "x2": {"field": high}, "tooltip": tooltip}},
        {"mark": {"type": "point", "filled": True, "opacity": 1, "size": 80, "color": colour("active"), "stroke": colour("paper")},
         "encoding": {"y": y, "x": {**x, "field": middle}, "tooltip": tooltip}},
    ]  # fmt: skip
    return Chart(
        title=title,
        subtitle=subtitle,
        description=f"{noun} of {len(rows)} groups: {low}, {middle} and {high}.",
        spec={
            "config": config(),
            "width": PLOT_WIDTH,
            "height": {"step": 22},
            "data": {"name": "groups"},
            "layer": layers,
        },
        rows={"groups": rows},
        columns=(
            Column(name, "group", "name"),
            *(Column(each, each.replace("_", " ")) for each in (low, middle, high)),
        ),
        left_px=name_px,
        right_px=RIGHT_PX + 16,
        calendar=calendar,
    )


def _seconds_axis(noun: str) -> dict[str, Any]:
    names = {str(at): word for at, word in SECONDS.items()}
    return {
        "type": "quantitative",
        "scale": {"type": "symlog", "constant": 1, "zero": True, "nice": False},
        "axis": {
            "title": noun,
            "values": list(SECONDS),
            "labelExpr": f"{names!r}[toString(datum.value)]",
            "labelOverlap": "greedy",
            "labelSeparation": 10,
            "grid": True,
        },
    }


def _seconds(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
