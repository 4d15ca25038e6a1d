"""Parquet in batches of rows. What a file calls its columns counts, and not the types it gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gpulake.errors import SourceError

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Batch:
    """A chunk of a Parquet file: rows in the order of the file, the first of them numbered."""

    rows: pa.RecordBatch
    first_row: int
    size: int
    names: Mapping[int, str]

    def quick(self) -> pl.DataFrame | None:
        """The rows, as the file types them; None where what it calls text is none."""
        return self._typed(self.rows) if _is_whole(self.rows) else None

    def closely(self) -> pl.DataFrame:
        """The same with their text, which is JSON here: a Parquet file has no lines."""
        columns = [_decoded(column) for column in self.rows.columns]
        rows = pa.RecordBatch.from_arrays([whole for whole, _ in columns], names=self.rows.schema.names)
        broken = np.logical_or.reduce(
            [is_broken for place, (_, is_broken) in enumerate(columns) if place in self.names]
        )
        text = [json.dumps(row, default=str, ensure_ascii=False) for row in rows.to_pylist()]
        return self._typed(rows).with_columns(
            raw_text=pl.Series(text, dtype=pl.String),
            reason=pl.when(pl.Series(broken, dtype=pl.Boolean)).then(pl.lit("not valid UTF-8")),
        )

    def _typed(self, rows: pa.RecordBatch) -> pl.DataFrame:
        named = {name: rows.column(place) for place, name in self.names.items()}  # others may share a name
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
            yield Batch(rows, first, size * rows.num_rows // total, names)
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
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
                raise SourceError(
                    f"its column {field.name} is of type {field.type}: text, numbers or times are expected.",
                    where=str(path),
                    do="write it as text",
                )


def _is_whole(values: pa.RecordBatch | pa.Array) -> bool:
    """Whether values are what their type says: a file's text is believed by whoever reads it, and may be any bytes."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decoded(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """A column with its broken letters replaced, and where any was. What is nested and broken is left out."""
    sound = np.zeros(len(column), dtype=np.bool_)
    if _is_whole(column):
        return column, sound
    if pa.types.is_nested(column.type):
        return pa.nulls(len(column)), sound
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column, sound
    given = column.cast(pa.large_binary()).to_pylist()
    text = [None if value is None else value.decode("utf-8", "replace") for value in given]
    broken = [whole is not None and value != whole.encode() for value, whole in zip(given, text, strict=True)]
    return pa.array(text, pa.large_string()), np.array(broken)


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
