"""Delimited lines in, numbered and checked Parquet out.

A file is parsed in chunks of whole lines, decompressed on the way, so that neither a temporary file nor more than a few
chunks of memory is needed. A chunk that is clean in every respect is parsed by Polars at full speed; any other is taken
apart line by line with column expressions, and each refused line is kept whole with its reason. Which path a chunk takes
depends on its bytes alone, so equal bytes give equal rows.
"""

from __future__ import annotations

import ctypes
import re
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa

from gpulake.contract import Table
from gpulake.errors import LakeError
from gpulake.landing.files import Progress
from gpulake.landing.recognition import Recognised, opened, unquoted

# The import of Polars lets no Ctrl-C end a wait: that for a hash, or for dbt, would go on to its own end.
signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003  # takes no keywords

CHUNK_BYTES = 16 << 20
_LATEST_S = 1e10
"""Seconds: the year 2286. A later time is milliseconds, or garbage; either would stretch every calendar."""

_HEADER = re.compile(rb"(?:[ \t\r\f\v]*\n)*[^\n]*\S[^\n]*\n")
"""The first line that is not blank, with the blank ones before it."""

_BOM = b"\xef\xbb\xbf"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@dataclass(frozen=True)
class Converted:
    """What became of one file. `refused` has source_row, reason, raw_text; event times are source seconds."""

    files: tuple[Path, ...]
    rows_kept: int
    refused: pa.Table
    min_event_s: float | None
    max_event_s: float | None

    @property
    def rows_in(self) -> int:
        """Every line that is not blank and not a header."""
        return self.rows_kept + int(self.refused.num_rows)


def convert(
    delivery: Recognised, *, landing_id: str, folder: Path, progress: Progress | None = None, workers: int = 2
) -> Converted:
    """Write the good rows of a delivery as Parquet files into `folder`, typed, with landing_id and source_row.

    File names derive from the landing, so a conversion that was cut off is overwritten by the next. Raises SourceError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _keep_freed_memory()
    chunks: list[_Chunk] = []
    with ThreadPoolExecutor(workers) as pool, opened(delivery) as stream:
        waiting: deque[Future[_Chunk]] = deque()
        for number, lines in enumerate(_whole_lines(stream, header=delivery.layout.header)):
            file = folder / f"ducklake-{landing_id[:24]}-{number:05}.parquet"
            waiting.append(pool.submit(_convert_chunk, lines, delivery, landing_id, file))
            if len(waiting) > workers:
                chunks.append(waiting.popleft().result())
            if progress:
                progress(len(lines.text))
        chunks.extend(future.result() for future in waiting)
    starts = [chunk.min_event_s for chunk in chunks if chunk.min_event_s is not None]
    ends = [chunk.max_event_s for chunk in chunks if chunk.max_event_s is not None]
    return Converted(
        files=tuple(chunk.file for chunk in chunks if chunk.file is not None),
        rows_kept=sum(chunk.rows for chunk in chunks),
        refused=pl.concat([_no_refusals(), *(chunk.refused for chunk in chunks)]).to_arrow(),
        min_event_s=min(starts, default=None),
        max_event_s=max(ends, default=None),
    )


def _keep_freed_memory() -> None:
    """Ask glibc to use a freed chunk again: given back to the kernel, each costs thousands of page faults anew."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        # An older glibc refuses the first. The second alone would still stop its threshold of mapping from rising.
        if mallopt(_M_MMAP_THRESHOLD, 8 * CHUNK_BYTES) == 1:
            mallopt(_M_TRIM_THRESHOLD, 8 * CHUNK_BYTES)


@dataclass(frozen=True)
class _Lines:
    """Whole lines of a file: the 1-based number of the first, how many, and their bytes."""

    first_row: int
    count: int
    text: bytes


@dataclass(frozen=True)
class _Chunk:
    file: Path | None
    rows: int
    refused: pl.DataFrame
    min_event_s: float | None
    max_event_s: float | None


def _whole_lines(stream: IO[bytes], *, header: bool) -> Iterator[_Lines]:
    """Chunks that end with a line; a header is left out. Each chunk's bytes are copied at most once."""
    row = 1
    while block := stream.read(CHUNK_BYTES):
        if not block.endswith(b"\n"):
            block = b"".join((block, stream.readline()))
        count = _count(block, b"\n") + (not block.endswith(b"\n"))
        lines = block.removeprefix(_BOM) if row == 1 else block
        skipped = 0
        if header:
            skipped, lines = _after_header(lines)
            header = not skipped
        if not header and lines and not lines.isspace():
            yield _Lines(row + skipped, count - skipped, lines)
        row += count


def _after_header(lines: bytes) -> tuple[int, bytes]:
    """How many lines the header takes with the blank ones before it, and what follows; 0 while it is not reached."""
    found = _HEADER.match(lines)
    return (lines.count(b"\n", 0, found.end()), lines[found.end() :]) if found else (0, lines)


def _count(block: bytes, byte: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == byte[0]).item())


def _convert_chunk(lines: _Lines, delivery: Recognised, landing_id: str, file: Path) -> _Chunk:
    table = delivery.table
    frame = _clean(lines, delivery)
    refused = _no_refusals()
    if frame is None:
        frame, refused = _careful(lines, delivery)
    low, high = _event_range(frame, table)
    if frame.height == 0:
        return _Chunk(None, 0, refused, low, high)
    frame = frame.select(*table.column_names, pl.lit(landing_id).alias("landing_id"), "source_row")
    try:
        frame.write_parquet(file, compression="zstd", compression_level=1)
    except (OSError, pl.exceptions.PolarsError) as error:
        # Not the delivery's fault: read as one, a full disk would be told as a damaged file.
        raise LakeError(
            f"a file cannot be written: {error}.", where=str(file), do="free some space and run it again"
        ) from error
    return _Chunk(file, frame.height, refused, low, high)


def _clean(lines: _Lines, delivery: Recognised) -> pl.DataFrame | None:
    """The chunk's rows at full speed, or None when anything at all about it needs a closer look."""
    table, layout = delivery.table, delivery.layout
    if _count(lines.text, b",") != lines.count * (layout.width - 1) or b'"' in lines.text or b"\r" in lines.text:
        return None
    names = dict(zip(layout.positions, table.columns, strict=True))
    schema = {
        names[i].name if i in names else f"field_{i}": pl.Float64
        if i in names and names[i].kind == "number"
        else pl.String
        for i in range(layout.width)
    }
    try:
        frame = pl.read_csv(
            lines.text,
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
    frame = frame.with_columns(pl.col("source_row").cast(pl.Int64))
    faulty = frame.select(pl.any_horizontal(pl.lit(value=False), *_faults(table).values()).any()).item()
    return None if faulty else frame


def _faults(table: Table) -> dict[str, pl.Expr]:
    """What makes a typed row unacceptable: reason → expression, true where the row is at fault."""
    faults = {f"{c.name} is missing": pl.col(c.name).is_null() for c in table.columns if c.required}
    for column in table.columns:
        if column.kind == "number":
            faults[f"{column.name} is not a finite number"] = ~pl.col(column.name).is_finite().fill_null(value=True)
    if table.span:
        start, end = pl.col(table.span.start), pl.col(table.span.end)
        known = pl.lit(value=True)
        if table.span.null_at_or_below is not None:
            known = (start > table.span.null_at_or_below) & (end > table.span.null_at_or_below)
        for time in (table.span.start, table.span.end):
            faults[f"{time} is later than the year 2286: seconds are expected"] = (pl.col(time) > _LATEST_S).fill_null(
                value=False
            )
        faults[f"{table.span.end} is before {table.span.start}"] = (known & (end < start)).fill_null(value=False)
    return faults


def _careful(lines: _Lines, delivery: Recognised) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take a chunk apart: the good rows, and the refused ones with row, reason and text."""
    table, layout = delivery.table, delivery.layout
    raw = lines.text.split(b"\n")
    text = [line.rstrip("\r") for line in lines.text.decode("utf-8", "replace").split("\n")]
    frame = pl.DataFrame(
        {
            "source_row": pl.Series(range(lines.first_row, lines.first_row + len(text)), dtype=pl.Int64),
            "raw_text": text,
            "broken": pl.Series(
                ["\ufffd" in line and not _is_utf8(raw[i]) for i, line in enumerate(text)], dtype=pl.Boolean
            ),
        }
    ).filter(pl.col("raw_text").str.strip_chars() != "")
    quoted = frame.filter(pl.col("raw_text").str.contains('"', literal=True))
    frame = pl.concat(
        [
            frame.filter(~pl.col("raw_text").str.contains('"', literal=True)).with_columns(
                fields=pl.col("raw_text").str.split(",")
            ),
            quoted.with_columns(
                fields=pl.Series([unquoted(line) for line in quoted["raw_text"]], dtype=pl.List(pl.String))
            ),
        ]
    ).sort("source_row")
    count = pl.col("fields").list.len()
    faults = [
        (pl.col("broken"), pl.lit("not valid UTF-8")),
        (count != layout.width, pl.format("{} fields where {} are expected", count, pl.lit(layout.width))),
    ]
    typed: dict[str, pl.Expr] = {}
    for position, column in zip(layout.positions, table.columns, strict=True):
        field = pl.col("fields").list.get(position, null_on_oob=True)
        if column.kind == "number":
            field = field.str.strip_chars()
        field = pl.when(field == "").then(None).otherwise(field)
        if column.kind == "number":
            number = field.cast(pl.Float64, strict=False)
            wrong = field.is_not_null() & number.is_null()
            faults.append((wrong, pl.format(column.name + " is not a number: '{}'", field)))
            field = number
        typed[column.name] = field
    frame = frame.with_columns(reason=_first_reason(faults), **typed)
    contract = _first_reason([(fault, pl.lit(why)) for why, fault in _faults(table).items()])
    frame = frame.with_columns(reason=pl.coalesce(pl.col("reason"), contract))
    return frame.filter(pl.col("reason").is_null()), frame.filter(pl.col("reason").is_not_null()).select(
        "source_row", "reason", "raw_text"
    )


def _first_reason(faults: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    reason = pl.lit(None, dtype=pl.String)
    for fault, why in reversed(faults):
        reason = pl.when(fault).then(why).otherwise(reason)
    return reason


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _no_refusals() -> pl.DataFrame:
    return pl.DataFrame(schema={"source_row": pl.Int64, "reason": pl.String, "raw_text": pl.String})


def _event_range(frame: pl.DataFrame, table: Table) -> tuple[float | None, float | None]:
    if not table.span or frame.height == 0:
        return None, None
    times = [pl.col(table.span.start), pl.col(table.span.end)]
    if table.span.null_at_or_below is not None:
        times = [pl.when(time > table.span.null_at_or_below).then(time) for time in times]
    low, high = frame.select(
        pl.min_horizontal(time.min() for time in times).alias("low"),
        pl.max_horizontal(time.max() for time in times).alias("high"),
    ).row(0)
    return low, None if high is None else high + table.span.lasts_s
