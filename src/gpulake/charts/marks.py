"""Marks above a picture over time: steps that are unusual, and where incidents began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gpulake.charts.calendar import Calendar
from gpulake.charts.colours import colour
from gpulake.charts.rows import rows_of
from gpulake.charts.words import shown

MOST_TOLD, MOST_LETTERS = 3, 160
"""Texts that one step tells, and letters of each."""

FLAGGED, URGENT, NOTED = "flagged", "urgent", "noted"

_SHAPES: Mapping[str, Mapping[str, Any]] = {
    FLAGGED: {"shape": "diamond", "fill": colour("anomaly"), "stroke": colour("paper"), "y": -16, "size": 110},
    URGENT: {"shape": "triangle-down", "fill": colour("ink"), "stroke": colour("paper"), "y": -6, "size": 150},
    NOTED: {"shape": "triangle-down", "fill": colour("paper"), "stroke": colour("soft"), "y": -6},
}
"""By kind: what is unusual has the colour of that, an incident the colour of words; they differ in shape and height too."""


@dataclass(frozen=True)
class Mark:
    """Marks of one kind, FLAGGED, URGENT or NOTED: a table with the times in `at` and what to say in `text`; `words` explain the mark."""

    kind: str
    words: str
    table: pa.Table
    at: str
    text: str


def marked_rows(marks: Sequence[Mark], steps: Sequence[int], *, calendar: Calendar) -> list[dict[str, Any]]:
    """A row per step of the picture and kind, with what is said there; what lies beside the picture is left out."""
    there = set(steps)
    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for mark in marks:
        times = [row[mark.at] for row in rows_of(mark.table, [mark.at], calendar=calendar)]
        for at, text in zip(times, mark.table.column(mark.text).to_pylist(), strict=True):
            if at in there:
                found[at, mark.kind].append(shown(text or "", most=MOST_LETTERS))
    return [{"at": at, "kind": kind, "told": _joined(texts)} for (at, kind), texts in found.items()]


def told_by_step(marked: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By step, all that its marks say."""
    found: dict[int, list[str]] = defaultdict(list)
    for row in marked:
        found[row["at"]].append(row["told"])
    return {at: "; ".join(texts) for at, texts in found.items()}


def mark_layers(at: str, x: Mapping[str, Any], when: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Layers over a picture whose steps are in `at`: a thin line on what is unusual, and the marks above; data: `marks`."""
    of_marks = {**x, "field": "at"}
    named = {**when, "calculate": str(when["calculate"]).replace(f"datum.{at}", "datum.at")}
    line = {
        "data": {"name": "marks"},
        "transform": [{"filter": f"datum.kind == '{FLAGGED}'"}],
        "mark": {"type": "rule", "color": colour("anomaly"), "opacity": 0.55, "strokeWidth": 1},
        "encoding": {"x": of_marks},
    }
    return [line, *(_points(kind, of_marks, named) for kind in _SHAPES)]


def _points(kind: str, x: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data": {"name": "marks"},
        "transform": [{"filter": f"datum.kind == '{kind}'"}, named],
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 60, "strokeWidth": 1.2, **_SHAPES[kind]},
        "encoding": {
            "x": x,
            "tooltip": [
                {"field": "when", "type": "nominal", "title": "when"},
                {"field": "told", "type": "nominal", "title": "what"},
            ],
        },
    }


def _joined(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_TOLD
    return "; ".join(texts[:MOST_TOLD]) + (f"; and {more:,} more" if more > 0 else "")
