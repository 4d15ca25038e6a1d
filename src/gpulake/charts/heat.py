"""Two ways of seeing time as a grid: machine by hour, and weekday by hour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log10
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpulake.charts.calendar import Calendar
from gpulake.charts.chart import LEGEND_COLUMNS, PLOT_WIDTH, Chart
from gpulake.charts.colours import USE, WASTE, colour
from gpulake.charts.rows import Column, rows_of
from gpulake.charts.theme import RIGHT_PX, config

MOST_MACHINES = 40
"""Rows of a heat map that a reader can tell apart; the rest is said in words."""

MACHINE_LEFT_PX = 132
FLEET = "all machines"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PERCENT_STEPS = (10, 25, 50, 75)


def machines_by_hour(
    table: pa.Table, *, title: str, value: str, unit: str, fleet: pa.Table | None = None, is_waste: bool = False,
    steps: Sequence[float] = PERCENT_STEPS, machines: int | None = None, subtitle: str = "", calendar: Calendar | None = None,
) -> Chart:  # fmt: skip
    """A row per machine and a cell per hour, in the order in which the table first names the machines: what hurts most comes first.

    Wants `machine_id`, `hour_start_at` and `value`; `fleet` is the same value of all machines together (`hour_start_at`, `value`), and stands on top.
    Only the first machines are drawn; `machines` says how many there are. An hour without a value has the ground's colour.
    """
    calendar = calendar or Calendar()
    order = table.column("machine_id").unique().to_pylist()
    kept = order[:MOST_MACHINES]
    table = table.filter(
        pc.is_in(table.column("machine_id"), value_set=pa.array(kept, type=table.schema.field("machine_id").type))
    )
    rows = rows_of(table, ["machine_id", "hour_start_at", value], calendar=calendar)
    together = rows_of(fleet, ["hour_start_at", value], calendar=calendar) if fleet is not None else []
    names = [*([FLEET] if together else []), *dict.fromkeys(row["machine_id"] for row in rows)]
    cells = [*({"machine_id": FLEET, **row} for row in together), *rows]
    all_machines = machines if machines is not None else len(order)
    count = f"{len(kept)} of {all_machines:,} machines" if all_machines > len(kept) else f"{all_machines:,} machines"
    spec = {
        "config": config(),
        "width": PLOT_WIDTH,
        "height": {"step": 13},
        "data": {"name": "cells"},
        "transform": [*_in_steps(value, steps), {"calculate": calendar.spelled_instant("hour_start_at"), "as": "when"}],
        "mark": {"type": "bar", "binSpacing": 0.3, "height": 12},
        "encoding": {
            "x": {"field": "hour_start_at", "type": "temporal", "timeUnit": "utcyearmonthdatehours", "scale": {"type": "utc"},
                  "axis": calendar.instant_axis([row["hour_start_at"] for row in cells])},
            "y": {"field": "machine_id", "type": "nominal", "sort": None, "title": None,
                  "scale": {"paddingInner": 0.08},
                  "axis": {"minExtent": MACHINE_LEFT_PX, "maxExtent": MACHINE_LEFT_PX, "labelLimit": MACHINE_LEFT_PX - 8, "labelFontSize": 10, "labelOverlap": False}},
            "color": _coloured(unit, steps, WASTE if is_waste else USE),
            "tooltip": [{"field": "machine_id", "type": "nominal", "title": "machine"}, {"field": "when", "type": "nominal", "title": "hour"},
                        {"field": value, "type": "quantitative", "format": ",.1f", "title": unit}],
        },
        "view": {"fill": colour("shade")},
    }  # fmt: skip
    return Chart(
        title=title,
        subtitle=f"{count}{' · ' + subtitle if subtitle else ''} · grey ground: nothing measured",
        description=f"{unit} of {count} hour by hour; the worst of them are {', '.join(names[bool(together) :][:3]) or 'none'}.",
        spec=spec,
        rows={"cells": cells},
        columns=(
            Column("machine_id", "machine", "name"),
            Column("hour_start_at", "hour", "instant"),
            Column(value, unit),
        ),
        left_px=MACHINE_LEFT_PX,
        calendar=calendar,
    )


def week(
    table: pa.Table, *, title: str, value: str, unit: str, is_waste: bool = False, steps: Sequence[float] = PERCENT_STEPS,
    subtitle: str = "", calendar: Calendar | None = None,
) -> Chart:  # fmt: skip
    """A cell per weekday and hour. Wants `weekday` (1 = Monday), `hour_no` (0 to 23) and `value`, one row per cell."""
    calendar = calendar or Calendar()
    rows = rows_of(table, ["weekday", "hour_no", value], calendar=calendar)
    spec = {
        "config": config(),
        "width": PLOT_WIDTH,
        "height": {"step": 22},
        "data": {"name": "cells"},
        "transform": [*_in_steps(value, steps), {"calculate": f"{list(WEEKDAYS)!r}[datum.weekday - 1]", "as": "day"}],
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "hour_no", "type": "ordinal", "scale": {"domain": list(range(24)), "paddingInner": 0.06},
                  "axis": {"title": f"hour of the day, {calendar.zone}", "labelAngle": 0, "labelExpr": "width > 560 || datum.value % 3 == 0 ? datum.label : ''", "grid": False, "ticks": False, "domain": False}},
            "y": {"field": "day", "type": "nominal", "title": None, "scale": {"domain": list(WEEKDAYS), "paddingInner": 0.06},
                  "axis": {"minExtent": 82, "maxExtent": 82}},
            "color": _coloured(unit, steps, WASTE if is_waste else USE),
            "tooltip": [{"field": "day", "type": "nominal", "title": "day"}, {"field": "hour_no", "type": "ordinal", "title": "hour"},
                        {"field": value, "type": "quantitative", "format": ",.1f", "title": unit}],
        },
        "view": {"fill": colour("shade")},
    }  # fmt: skip
    return Chart(
        title=title,
        subtitle=subtitle,
        description=f"{unit} by weekday and hour of the day.",
        spec=spec,
        rows={"cells": rows},
        columns=(Column("weekday", "weekday (1 = Monday)"), Column("hour_no", "hour"), Column(value, unit)),
        left_px=82,
        right_px=RIGHT_PX,
        calendar=calendar,
    )


def even_steps(values: pa.ChunkedArray) -> tuple[float, ...]:
    """Four round borders that part the span of the values evenly: for a picture that shows a shape, not a level."""
    known = values.drop_null()
    if not known:
        return PERCENT_STEPS
    low, high = pc.min(known).as_py(), pc.max(known).as_py()
    wide = max((high - low) / 5, 1e-9)
    ten = 10.0 ** floor(log10(wide))
    step = next(ten * times for times in (1, 2, 5, 10) if ten * times >= wide * 0.999)
    first = (floor(low / step) + 1) * step
    return tuple(round(first + i * step, 9) for i in range(4))


def _step_words(steps: Sequence[float]) -> list[str]:
    return [
        f"under {steps[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(steps)),
        f"{steps[-1]:g} and more",
    ]


def _in_steps(value: str, steps: Sequence[float]) -> list[dict[str, Any]]:
    """Which step a value is in. Steps are told apart where a smooth ramp is guessed at; a cell without a value is not drawn."""
    tests = "".join(
        f"datum['{value}'] < {border:g} ? '{word}' : " for border, word in zip(steps, _step_words(steps), strict=False)
    )
    return [{"filter": f"isValid(datum['{value}'])"}, {"calculate": f"{tests}'{_step_words(steps)[-1]}'", "as": "step"}]


def _coloured(unit: str, steps: Sequence[float], colours: Sequence[str]) -> dict[str, Any]:
    assert len(steps) + 1 == len(colours)
    return {
        "field": "step",
        "type": "nominal",
        "scale": {"domain": _step_words(steps), "range": [colour(name) for name in colours]},
        "legend": {"title": unit, "titleFontWeight": "normal", "offset": 8, "columns": LEGEND_COLUMNS},
    }
