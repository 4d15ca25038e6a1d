"""Text that its source takes apart by itself: the rows that its own reader finds, in the shape of every other format's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import polars as pl

from gpulake.contract import Parsed
from gpulake.landing.lines import BOM, CHUNK_BYTES


@dataclass(frozen=True)
class Found:
    """A chunk of rows that a source has found in its own text."""

    frame: pl.DataFrame
    size: int

    def quick(self) -> pl.DataFrame | None:
        """The rows, or None where one was refused."""
        if "reason" in self.frame.columns and self.frame["reason"].null_count() < self.frame.height:
            return None
        return self._values

    def closely(self) -> pl.DataFrame:
        """The rows with their text and the reason where one was refused. The text of a row that stands is JSON."""
        values = self._values
        text = values.select(pl.struct(pl.exclude("source_row").cast(pl.String)).struct.json_encode()).to_series()
        refused = self.frame if "reason" in self.frame.columns else self.frame.with_columns(reason=None, raw_text=None)
        return values.with_columns(
            reason=refused["reason"].cast(pl.String),
            raw_text=pl.coalesce(refused["raw_text"].cast(pl.String), text),
        )

    @property
    def _values(self) -> pl.DataFrame:
        text = pl.col(pl.String)
        values = self.frame.drop("reason", "raw_text", strict=False)
        return values.with_columns(
            pl.when(text != "").then(text).name.keep(), source_row=pl.col("source_row").cast(pl.Int64)
        )


def chunks(stream: IO[bytes], form: Parsed, file_name: str) -> Iterator[Found]:
    """The rows that a source finds in a stream. Raises SourceError where the whole is no such text."""
    read = [0]
    for frame in form.rows(_blocks(stream, read), file_name):
        size, read[0] = read[0], 0
        if frame.height:
            yield Found(frame, size)


def _blocks(stream: IO[bytes], read: list[int]) -> Iterator[bytes]:
    """Blocks of whole lines; how much has been read is added up."""
    is_first = True
    while block := stream.read(CHUNK_BYTES):
        if not block.endswith(b"\n"):
            block = b"".join((block, stream.readline()))
        read[0] += len(block)
        yield block.removeprefix(BOM) if is_first else block
        is_first = False
