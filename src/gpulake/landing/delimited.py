"""Lines of fields between delimiters.

A chunk that is clean in every respect is parsed by Polars at full speed; any other is taken apart line by line. Which
way a chunk goes depends on its bytes alone, so equal bytes give equal rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import polars as pl

from gpulake.contract import Column
from gpulake.landing.lines import Lines, count_of, one_by_one, whole_lines


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
        lines, columns, width = self.lines, self.fields.columns, self.fields.width
        if count_of(lines.text, self.fields.delimiter.encode()) != lines.count * (width - 1):
            return None
        if b'"' in lines.text or b"\r" in lines.text:
            return None
        schema = {
            columns[i].name if i in columns else f"field_{i}": pl.Float64
            if i in columns and columns[i].kind == "number"
            else pl.String
            for i in range(width)
        }
        try:
            frame = pl.read_csv(
                lines.text,
                separator=self.fields.delimiter,
                has_header=False,
                schema=schema,
                quote_char=None,
                row_index_name="source_row",
                row_index_offset=lines.first_row,
            )
        except pl.exceptions.PolarsError:
            return None
        if frame.height != lines.count:
            return None
        return frame.with_columns(pl.col("source_row").cast(pl.Int64))

    def closely(self) -> pl.DataFrame:
        """The rows line by line, with their text, and the reason where a line cannot be taken apart."""
        delimiter, width = self.fields.delimiter, self.fields.width
        frame = one_by_one(self.lines, delimiter=delimiter)
        is_quoted = pl.col("raw_text").str.contains('"', literal=True)
        quoted = frame.filter(is_quoted)
        fields = [unquoted(line, delimiter) for line in quoted["raw_text"]]
        frame = pl.concat(
            [
                frame.filter(~is_quoted).with_columns(fields=pl.col("raw_text").str.split(delimiter)),
                quoted.with_columns(fields=pl.Series(fields, dtype=pl.List(pl.String))),
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
        for position, column in self.fields.columns.items():
            field = pl.col("fields").list.get(position, null_on_oob=True)
            values[column.name] = pl.when(field == "").then(None).otherwise(field)
        return frame.select("source_row", "raw_text", reason=reason, **values)


def chunks(stream: IO[bytes], fields: Fields, *, header: bool) -> Iterator[LinesOfFields]:
    """The lines of a stream but for its header."""
    for lines in whole_lines(stream, header=header, delimiter=fields.delimiter):
        yield LinesOfFields(lines, fields)


def unquoted(line: str, delimiter: str) -> list[str]:
    """The fields of a line with quotes; an unclosed quote is one field, so the line is refused by its field count."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line]
