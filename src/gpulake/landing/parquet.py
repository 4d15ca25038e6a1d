"""Parquet in batches of rows. What a file calls its columns counts, and not the types it gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpulake.errors import SourceError

BATCH_ROWS = 50_000

_NO_PLAIN_VALUES = (
    pa.types.is_nested,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_time,
    pa.types.is_duration,
    pa.types.is_decimal256,
)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
_FIRST_S, _END_S = -62_135_596_800, 253_402_300_800
"""Seconds: the years 1 to 9999."""


@dataclass(frozen=True)
class Batch:
    """A chunk of a Parquet file: rows in the order of the file, the first of them numbered."""

    rows: pa.RecordBatch
    first_row: int
    size: int
    names: Mapping[int, str]

    def quick(self) -> pl.DataFrame | None:
        """The rows, as the file types them; None where a value is none of its type."""
        return self._typed(self.rows.columns) if all(map(_is_whole, self.rows.columns)) else None

    def closely(self) -> pl.DataFrame:
        """The same with their text, which is JSON here: a Parquet file has no lines."""
        looked_at = [_looked_at(column) for column in self.rows.columns]
        shown = pa.RecordBatch.from_arrays([each.shown for each in looked_at], names=self.rows.schema.names)
        text = [json.dumps(row, default=str, ensure_ascii=False) for row in shown.to_pylist()]
        reason = np.full(self.rows.num_rows, None, dtype=object)
        for place in self.names:
            reason[looked_at[place].broken & (reason == None)] = looked_at[place].why  # noqa: E711  # of each element
        return self._typed([each.kept for each in looked_at]).with_columns(
            raw_text=pl.Series(text, dtype=pl.String), reason=pl.Series(reason.tolist(), dtype=pl.String)
        )

    def _typed(self, columns: Sequence[pa.Array]) -> pl.DataFrame:
        named = {name: columns[place] for place, name in self.names.items()}  # others may share a name
        frame = pl.DataFrame(pa.RecordBatch.from_pydict(named)).with_columns(
            pl.col(pl.Categorical, pl.Enum).cast(pl.String)
        )
        text = pl.col(pl.String)
        numbers = pl.int_range(self.first_row, self.first_row + pl.len(), dtype=pl.Int64)
        return frame.with_columns(pl.when(text != "").then(text).name.keep(), source_row=numbers)


def chunks(path: Path, names: Mapping[int, str]) -> Iterator[Batch]:
    """The rows of a file, their columns by place. Raises SourceError."""
    with _opened(path) as file:
        first, total, size = 1, file.metadata.num_rows, path.stat().st_size
        for rows in file.iter_batches(batch_size=BATCH_ROWS):
            columns = [_in_known_zone(column) for column in rows.columns]
            known = pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
            yield Batch(known, first, size * rows.num_rows // total, names)
            first += rows.num_rows


def columns_of(path: Path) -> list[str]:
    """The names of a file's columns. Raises SourceError."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def rows_of(path: Path) -> int:
    """How many rows a file has. Raises SourceError."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def check_columns(path: Path, places: Iterable[int]) -> None:
    """Raise SourceError where one of these columns is no plain value."""
    with _opened(path) as file:
        for field in map(file.schema_arrow.field, places):
            if any(is_so(field.type) for is_so in _NO_PLAIN_VALUES):
                raise SourceError(
                    f"its column {field.name} is of type {field.type}: text, numbers or times are expected.",
                    where=str(path),
                    do="write it as text",
                )


# A file's types are believed by whoever reads it, and its values may be any bytes: what is none of its type is looked for.


@dataclass(frozen=True)
class _LookedAt:
    """A column without what is broken, the same to be shown whole, where it is broken, and by what."""

    kept: pa.Array
    shown: pa.Array
    broken: npt.NDArray[np.bool_]
    why: str = ""


def _is_whole(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return not _beyond_calendars(column).any()


def _looked_at(column: pa.Array) -> _LookedAt:
    kind, beyond = column.type, _beyond_calendars(column)
    if beyond.any():
        shown = column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()).cast(pa.string())
        kept = pc.if_else(pa.array(beyond), pa.scalar(None, kind), column)
        return _LookedAt(kept, shown, beyond, "a time that no calendar has")
    sound = np.zeros(len(column), dtype=np.bool_)
    if _is_whole(column):
        return _LookedAt(column, _with_every_digit(column), sound)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        given = column.cast(pa.large_binary()).to_pylist()
        text = [None if value is None else value.decode("utf-8", "replace") for value in given]
        broken = [whole is not None and value != whole.encode() for value, whole in zip(given, text, strict=True)]
        replaced = pa.array(text, pa.large_string())
        return _LookedAt(replaced, replaced, np.array(broken), "not valid UTF-8")
    return _LookedAt(column, pa.nulls(len(column)) if pa.types.is_nested(kind) else column, sound)


def _beyond_calendars(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Where days and moments lie before the year 1, or after 9999. Nanoseconds never do."""
    kind = column.type
    if pa.types.is_date32(kind):
        first, end, whole = _FIRST_S // 86_400, _END_S // 86_400, column.cast(pa.int32())
    elif pa.types.is_date64(kind) or (pa.types.is_timestamp(kind) and kind.unit != "ns"):
        per_s = _PER_SECOND["ms" if pa.types.is_date64(kind) else kind.unit]
        aside_s = 86_400 if getattr(kind, "tz", None) else 0  # in a zone it may be the next year already
        first, end, whole = (_FIRST_S + aside_s) * per_s, (_END_S - aside_s) * per_s, column.cast(pa.int64())
    else:
        return np.zeros(len(column), dtype=np.bool_)
    is_beyond = pc.or_(pc.less(whole, first), pc.greater_equal(whole, end))
    found: npt.NDArray[np.bool_] = pc.fill_null(is_beyond, fill_value=False).to_numpy(zero_copy_only=False)
    return found


def _with_every_digit(column: pa.Array) -> pa.Array:
    """Python's times end at microseconds: what is finer is shown as text, or as a number."""
    if pa.types.is_duration(column.type) or pa.types.is_time64(column.type):
        return column.cast(pa.int64())
    if not (pa.types.is_timestamp(column.type) and column.type.unit == "ns"):
        return column
    try:
        column.cast(pa.timestamp("us", column.type.tz))
    except pa.ArrowInvalid:
        return column.cast(pa.string())
    return column


def _in_known_zone(column: pa.Array) -> pa.Array:
    """The same moments, where the zone that a file gives them is a fixed offset, or is none."""
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    if zone is None:
        return column
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    return column


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"cannot be read to its end: {str(error).splitlines()[0]}.",
            where=str(path),
            do="fetch the file again and compare its size and checksum",
        ) from error
