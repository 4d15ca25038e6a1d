"""Lines of fields between delimiters.

A chunk that is clean in every respect is parsed by Polars at full speed; any other is taken apart line by line. Which
way a chunk goes depends on its bytes alone, so equal bytes give equal rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import polars as pl

from gpulake.contract import Column
from gpulake.landing.lines import Lines, count_of, one_by_one, whole_lines

LONGEST_ROW = 1 << 20
"""Bytes: a quote that is closed later than this is a stray one."""


@dataclass(frozen=True)
class Fields:
    """What the fields of a line are: the column at each place, and how many there are of all."""

    columns: Mapping[int, Column]
    width: int
    delimiter: str


@dataclass(frozen=True)
class LinesOfFields:
    """A chunk of a delimited file."""

    lines: Lines
    fields: Fields

    @property
    def size(self) -> int:
        """Its uncompressed bytes."""
        return len(self.lines.text)

    def quick(self) -> pl.DataFrame | None:
        """The rows at full speed, or None when anything at all about the lines needs a closer look."""
        lines, width = self.lines, self.fields.width
        if count_of(lines.text, self.fields.delimiter.encode()) != lines.count * (width - 1):
            return None
        if b'"' in lines.text or b"\r" in lines.text:
            return None
        # As text, where a word stands for a missing number.
        frame = self._parsed(pl.Float64())
        frame = self._parsed(pl.String()) if frame is None else frame
        if frame is None or frame.height != lines.count:
            return None
        return frame.with_columns(pl.col("source_row").cast(pl.Int64))

    def _parsed(self, number: pl.DataType) -> pl.DataFrame | None:
        columns = self.fields.columns
        schema = {
            columns[i].name if i in columns else f"field_{i}": number
            if i in columns and columns[i].kind == "number"
            else pl.String()
            for i in range(self.fields.width)
        }
        try:
            return pl.read_csv(
                self.lines.text,
                separator=self.fields.delimiter,
                has_header=False,
                schema=schema,
                quote_char=None,
                row_index_name="source_row",
                row_index_offset=self.lines.first_row,
            )
        except pl.exceptions.PolarsError:
            return None

    def closely(self) -> pl.DataFrame:
        """The rows one by one, with their text, and the reason where one cannot be taken apart."""
        joins = _joins(self.lines.text.split(b"\n"), self.fields)[0] if b'"' in self.lines.text else {}
        return taken_apart(one_by_one(self.lines, delimiter=self.fields.delimiter, joins=joins), self.fields)


def taken_apart(frame: pl.DataFrame, fields: Fields) -> pl.DataFrame:
    """The fields of rows of text, and the reason where one is no row; `broken` ones are not UTF-8."""
    delimiter, width = fields.delimiter, fields.width
    is_quoted = pl.col("raw_text").str.contains('"', literal=True)
    quoted = frame.filter(is_quoted)
    frame = pl.concat(
        [
            frame.filter(~is_quoted).with_columns(fields=pl.col("raw_text").str.split(delimiter)),
            quoted.with_columns(
                fields=pl.Series([unquoted(line, delimiter) for line in quoted["raw_text"]], dtype=pl.List(pl.String))
            ),
        ]
    ).sort("source_row")
    count = pl.col("fields").list.len()
    reason = (
        pl.when(pl.col("broken"))
        .then(pl.lit("not valid UTF-8"))
        .when(count != width)
        .then(pl.format("{} fields where {} are expected", count, pl.lit(width)))
    )
    values = {}
    for position, column in fields.columns.items():
        field = pl.col("fields").list.get(position, null_on_oob=True)
        values[column.name] = pl.when(field == "").then(None).otherwise(field)
    return frame.select("source_row", "raw_text", reason=reason, **values)


def chunks(stream: IO[bytes], fields: Fields, *, header: bool) -> Iterator[LinesOfFields]:
    """The lines of a stream but for its header."""

    def rest(block: bytes, stream: IO[bytes]) -> bytes:
        return _rest_of_row(block, stream, fields)

    for lines in whole_lines(stream, header=header, delimiter=fields.delimiter, rest_of_row=rest):
        yield LinesOfFields(lines, fields)


# A line break inside quotes belongs to the field (RFC 4180). A quote that nobody closed must not swallow what follows:
# lines are one row only where they are a whole one together, of the right width and not too long.


def _joins(lines: Sequence[bytes], fields: Fields) -> tuple[dict[int, int], int | None]:
    """The first and last line of each row of several, and the line that begins one which does not end here."""
    joins: dict[int, int] = {}
    begun: int | None = None
    for at, line in enumerate(lines):
        if line.count(b'"') % 2:  # only there a field is left open, or closed
            if begun is not None and _is_row(lines[begun : at + 1], fields):
                joins[begun], begun = at, None
            else:
                begun = at if _is_open(line, fields) else None
    return joins, begun


def _rest_of_row(block: bytes, stream: IO[bytes], fields: Fields) -> bytes:
    if b'"' not in block:
        return b""
    lines = block.removesuffix(b"\n").split(b"\n")
    _, begun = _joins(lines, fields)
    row = [] if begun is None else lines[begun:]
    size, added = sum(map(len, row)), bytearray()
    while row and size <= LONGEST_ROW and len(added) <= 16 * LONGEST_ROW and (line := stream.readline()):
        added += line
        row.append(line.removesuffix(b"\n"))
        size += len(line)
        if line.count(b'"') % 2:
            row = row[-1:] if not _is_row(row, fields) and _is_open(row[-1], fields) else []
            size = sum(map(len, row))
    return bytes(added)


def _is_row(lines: Sequence[bytes], fields: Fields) -> bool:
    text = b"\n".join(lines)
    return len(text) <= LONGEST_ROW and len(unquoted(_text(text), fields.delimiter)) == fields.width > 1


def _is_open(line: bytes, fields: Fields) -> bool:
    """Whether a line ends inside a field: with its quote closed behind it, it can be taken apart."""
    text = _text(line)
    return unquoted(text, fields.delimiter) == [text] and len(unquoted(f'{text}"', fields.delimiter)) <= fields.width


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def unquoted(line: str, delimiter: str) -> list[str]:
    """The fields of a line with quotes; an unclosed quote is one field, so the line is refused by its field count."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line]
