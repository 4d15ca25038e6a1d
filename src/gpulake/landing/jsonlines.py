"""Lines of one JSON object each. Numbers keep the digits they were written with; what is nested stays JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO

import polars as pl

from gpulake.landing.lines import Lines, one_by_one, whole_lines


@dataclass(frozen=True)
class LinesOfJson:
    """A chunk of a file of JSON lines. There is no quick way: each line is an object of its own."""

    lines: Lines
    names: tuple[str, ...]
    needed: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its uncompressed bytes."""
        return len(self.lines.text)

    def quick(self) -> None:
        """Never."""

    def closely(self) -> pl.DataFrame:
        """The rows line by line, with their text, the reason where a line is no row, and the keys that were left."""
        return taken_apart(one_by_one(self.lines), self.names, needed=self.needed)


def taken_apart(frame: pl.DataFrame, names: tuple[str, ...], *, needed: tuple[str, ...]) -> pl.DataFrame:
    """The values of lines of JSON, and the reason where one is no row; `broken` ones are not UTF-8."""
    read = [
        ("not valid UTF-8", {}) if broken else _read(line, names, needed)
        for line, broken in frame.select("raw_text", "broken").iter_rows()
    ]
    values = {name: pl.Series([_text(row.get(name)) for _, row in read], dtype=pl.String) for name in names}
    reason = pl.Series([reason for reason, _ in read], dtype=pl.String)
    left = pl.Series([sorted(row.keys() - names) for _, row in read], dtype=pl.List(pl.String))
    return frame.select("source_row", "raw_text", reason=reason, left=left, **values)


def chunks(stream: IO[bytes], names: tuple[str, ...], *, needed: tuple[str, ...]) -> Iterator[LinesOfJson]:
    """The lines of a stream, whose keys are to be the names given; which of them no line needs is no fault."""
    for lines in whole_lines(stream):
        yield LinesOfJson(lines, names, needed)


def keys_of(line: str) -> set[str] | None:
    """The keys of a line, or None where it is no JSON object."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return {key.strip().lower() for key in found} if isinstance(found, dict) else None


def _read(line: str, names: tuple[str, ...], needed: tuple[str, ...]) -> tuple[str | None, dict[str, object]]:
    """Why a line is no row, or None and its values by column."""
    try:
        # A double's own text may lack digits of the source's: a column of text is to hold them all.
        found = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError):
        return "not valid JSON", {}
    if not isinstance(found, dict):
        return "not a JSON object", {}
    row = {key.strip().lower(): value for key, value in found.items()}
    if len(row) < len(found):
        return "two keys differ in case only", {}
    if not row.keys() >= set(needed):  # a further key may be one that lacks, misspelt
        for key in row:
            if key not in names:
                return f"it has a key of no column: '{_whole(key)}'", {}
    if any(isinstance(value, str) and value != _whole(value) for value in row.values()):
        return "a text holds half a character", {}
    return None, {_whole(key): value for key, value in row.items()}


def _whole(text: str) -> str:
    """JSON can write half of a surrogate pair, which is no character and cannot be kept."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(value: object) -> str | None:
    match value:
        case None | "":
            return None
        case str():
            return value
        case int() | Decimal() if not isinstance(value, bool):
            return str(value)
        case _:
            return json.dumps(value, default=float)
