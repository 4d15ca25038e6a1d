"""Blocks of whole lines as frames of numbered lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def numbered(blocks: Iterable[bytes]) -> Iterator[pl.DataFrame]:
    """Each block's lines: `source_row`, 1-based over all of them, and `text`, whose unreadable bytes are replaced."""
    import polars as pl

    first = 1
    for block in blocks:
        text = block.decode("utf-8", "replace").removesuffix("\n")
        lines = pl.Series("text", [text]).str.split("\n").explode().str.strip_chars_end("\r")
        yield lines.to_frame().with_row_index("source_row", first).with_columns(pl.col("source_row").cast(pl.Int64))
        first += lines.len()
