"""Chunks of whole lines, with the number of each chunk's first: what every text format is read in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
import polars as pl

CHUNK_BYTES = 16 << 20
_HEADER = re.compile(rb"(?:[ \t\r\f\v]*\n)*[^\n]*\S[^\n]*\n")
"""The first line that is not blank, with the blank ones before it."""

BOM = b"\xef\xbb\xbf"
"""What some programs write before UTF-8."""


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file: the 1-based number of the first, how many, and their bytes."""

    first_row: int
    count: int
    text: bytes


def whole_lines(
    stream: IO[bytes],
    *,
    header: bool = False,
    delimiter: str = "",
    rest_of_row: Callable[[bytes, IO[bytes]], bytes] = lambda _block, _stream: b"",
) -> Iterator[Lines]:
    """Chunks that end with a line, and with a row; a header is left out. Each chunk's bytes are copied at most twice.

    A line of nothing but blanks is none, unless a blank is the delimiter: then it is a row of nothing but nulls.
    `rest_of_row` reads what is left of the row that a block of whole lines ends in.
    """
    row = 1
    while block := stream.read(CHUNK_BYTES):
        if not block.endswith(b"\n"):
            block = b"".join((block, stream.readline()))
        block += rest_of_row(block, stream)
        count = count_of(block, b"\n") + (not block.endswith(b"\n"))
        lines = block.removeprefix(BOM) if row == 1 else block
        skipped = 0
        if header:
            skipped, lines = _after_header(lines)
            header = not skipped
        is_blank = lines.isspace() and not (delimiter and delimiter.encode() in lines)
        if not header and lines and not is_blank:
            yield Lines(row + skipped, count - skipped, lines)
        row += count


def count_of(block: bytes, byte: bytes) -> int:
    """How often one byte occurs."""
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == byte[0]).item())


def one_by_one(lines: Lines, *, delimiter: str = "", joins: Mapping[int, int] | None = None) -> pl.DataFrame:
    """Every row that is not blank: the number of its first line, its raw_text, and whether it is broken (not UTF-8).

    A row is a line, or where `joins` says so, all from one line to another.
    """
    is_row = pl.col("raw_text").str.strip_chars() != ""
    if delimiter:
        is_row |= pl.col("raw_text").str.contains(delimiter, literal=True)
    raw = lines.text.split(b"\n")
    numbers = range(lines.first_row, lines.first_row + len(raw))
    if joins:
        within = {at for first, last in joins.items() for at in range(first + 1, last + 1)}
        first_lines = [at for at in range(len(raw)) if at not in within]
        raw = [b"\n".join(raw[at : joins.get(at, at) + 1]) for at in first_lines]
        text = [row.decode("utf-8", "replace").rstrip("\r") for row in raw]
    else:
        first_lines = list(range(len(raw)))
        text = [line.rstrip("\r") for line in lines.text.decode("utf-8", "replace").split("\n")]
    return pl.DataFrame(
        {
            "source_row": pl.Series([numbers[at] for at in first_lines], dtype=pl.Int64),
            "raw_text": text,
            "broken": pl.Series(
                ["\ufffd" in line and not _is_utf8(raw[i]) for i, line in enumerate(text)], dtype=pl.Boolean
            ),
        }
    ).filter(is_row)


def _after_header(lines: bytes) -> tuple[int, bytes]:
    """How many lines the header takes with the blank ones before it, and what follows; 0 while it is not reached."""
    found = _HEADER.match(lines)
    return (lines.count(b"\n", 0, found.end()), lines[found.end() :]) if found else (0, lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
