"""Parquet in batches of rows. What a file calls its columns counts, and not the types it gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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

    def quick(self) -> pl.DataFrame:
        """The rows, as the file types them."""
        found = pl.DataFrame(self.rows)
        columns = {name: found.to_series(position) for position, name in self.names.items()}
        frame = pl.DataFrame(columns).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
        text = pl.col(pl.String)
        numbers = pl.int_range(self.first_row, self.first_row + pl.len(), dtype=pl.Int64)
        return frame.with_columns(pl.when(text != "").then(text).name.keep(), source_row=numbers)

    def closely(self) -> pl.DataFrame:
        """The same with their text, which is JSON here: a Parquet file has no lines."""
        text = [json.dumps(row, default=str, ensure_ascii=False) for row in self.rows.to_pylist()]
        return self.quick().with_columns(
            raw_text=pl.Series(text, dtype=pl.String), reason=pl.lit(None, dtype=pl.String)
        )


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
