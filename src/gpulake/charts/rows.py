"""Arrow tables as the rows of a picture: names made fit to be shown, times as milliseconds, what is missing as null.

No figure is computed here. A table that is too long for a picture is refused: whoever asks sums up first, in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpulake.charts.calendar import Calendar
from gpulake.charts.words import shown_apart
from gpulake.errors import UsageError

MOST_ROWS = 20_000
"""More would be a file and not a picture."""

Row = Mapping[str, Any]  # a figure, a name, a time or nothing, by column


def rows_of(table: pa.Table, columns: Sequence[str], *, calendar: Calendar) -> list[dict[str, Any]]:
    """The rows of the named columns, in the table's order. Raises UsageError on an unknown column, or too many rows."""
    strangers = [name for name in columns if name not in table.column_names]
    if strangers:
        raise UsageError(
            f"a picture of {', '.join(columns)} has no column {strangers[0]} (the table has {', '.join(table.column_names)}).",
            do="give it the table that its docstring names",
        )
    if table.num_rows > MOST_ROWS:
        raise UsageError(
            f"{table.num_rows:,} rows are too many for a picture (at most {MOST_ROWS:,}).",
            do="sum up first, in the query",
        )
    values = [_values(table.column(name), calendar) for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def fill_gaps(table: pa.Table, at: str, step: timedelta) -> pa.Table:
    """The table in the order of time, with an empty row for each missing step between its first and its last: a gap is drawn as a gap."""
    table = table.sort_by(at)
    if table.num_rows < 2:
        return table
    column = table.column(at)
    known = column.drop_null().to_pylist()
    if not known:
        return table
    steps = (known[-1] - known[0]) // step + 1
    if steps > MOST_ROWS:
        raise UsageError(f"{steps:,} steps of {step} are too many for a picture.", do="ask for a shorter span")
    all_steps = pa.table({at: pa.array([known[0] + i * step for i in range(steps)], type=column.type)})
    found: pa.Table = all_steps.join(table, keys=at, join_type="left outer").sort_by(at)
    return found.select(table.column_names)


def packed(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows by column, for a page: names and times that come again and again are written once."""
    found: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        different = list(dict.fromkeys(values))
        if len(different) * 2 < len(values):
            code = {value: i for i, value in enumerate(different)}
            found[name] = {"of": different, "at": [code[value] for value in values]}
        else:
            found[name] = values
    return found


def safe_json(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element, and every letter is ASCII."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass(frozen=True)
class Column:
    """A column of the table that stands below a picture."""

    name: str
    words: str
    kind: str = "figure"  # or day, instant, name, ratio


def _values(column: pa.ChunkedArray, calendar: Calendar) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_date(kind):
        return _milliseconds(column.cast(pa.timestamp("ms")))
    if pa.types.is_timestamp(kind):
        return _milliseconds(calendar.local(column))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.to_pylist()
        names = shown_apart(text for text in texts if text is not None)
        return [None if text is None else names[text] for text in texts]
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return [_rounded(value) for value in column.cast(pa.float64()).to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


def _milliseconds(column: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = pc.cast(column, pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist()
    return found


def _rounded(value: float | None) -> float | int | None:
    """Six digits are more than a picture or a pointer shows; NaN and infinity are not known."""
    if value is None or not isfinite(value):
        return None
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
