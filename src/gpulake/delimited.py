"""Delimited files in, numbered and checked Parquet out. Owns every byte between a delivery and bronze.

A file is read twice: once to hash it, once to parse it, in chunks of whole lines, decompressed on the way, so that
neither a temporary file nor more than a few chunks of memory is needed. A chunk that is clean in every respect is
parsed by Polars at full speed; any other is taken apart line by line with column expressions, and each refused line
is kept whole with its reason. Which path a chunk takes depends on its bytes alone, so equal bytes give equal rows.
"""

from __future__ import annotations

import csv
import ctypes
import hashlib
import re
import signal
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pyarrow as pa
from isal import igzip, isal_zlib

from gpulake.contract import Table
from gpulake.errors import LakeError, SourceError

# The import of Polars lets no Ctrl-C end a wait: that for a hash, or for dbt, would go on to its own end.
signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003  # takes no keywords

CHUNK_BYTES = 16 << 20
_HEAD_BYTES = 64 << 10
_SAMPLE_LINES = 50
_SEARCHED_BYTES = 64 << 20
"""How far into an archive a table may begin: a huge archive of other things is not read at each look."""

_FITTING_SHARE = 0.8
"""A headerless file is of a table when this share of its first lines fits the table's columns."""

_LATEST_S = 1e10
"""Seconds: the year 2286. A later time is milliseconds, or garbage; either would stretch every calendar."""

_INDEX_NAMES = {"", "index", "unnamed: 0", "id"}
_HEADER = re.compile(rb"(?:[ \t\r\f\v]*\n)*[^\n]*\S[^\n]*\n")
"""The first line that is not blank, with the blank ones before it."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNREADABLE = (OSError, EOFError, zlib.error, cast("type[Exception]", isal_zlib.error), tarfile.TarError)
_BOM = b"\xef\xbb\xbf"
_TAR_MAGIC = slice(257, 262)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

Progress = Callable[[int], None]
"""Told how many more uncompressed bytes have been read."""


@dataclass(frozen=True)
class Layout:
    """How the lines of one file map to its table: `positions[i]` is the field that holds the table's column i."""

    header: bool
    index: bool
    positions: tuple[int, ...]
    width: int

    @property
    def name(self) -> str:
        """The layout in a word, as the landing records it."""
        return {(0, 0): "headerless", (1, 0): "header", (0, 1): "index", (1, 1): "header+index"}[
            int(self.header), int(self.index)
        ]


@dataclass(frozen=True)
class Recognised:
    """A file that is a delivery of `table`; in an archive the file at `member`, told apart from the tables `among`."""

    path: Path
    table: Table
    layout: Layout
    member: int = 0
    among: tuple[Table, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Unrecognised:
    """A file that is none of the tables asked for, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Digest:
    """The sha256 and size of a table's uncompressed bytes, and the names of its archive's other files."""

    sha256: str
    size: int
    beside: tuple[str, ...] = ()


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


# ---------------------------------------------------------------------------------------------- bytes


@contextmanager
def opened(delivery: Recognised, *, beside: list[str] | None = None) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a delivery, a .csv, a gzipped .csv or one file of a .tar.gz, as a stream.

    Leaving the context reads to the end, so that a damaged trailer is noticed, and adds the archive's other files to
    `beside`. Raises SourceError, also when one of them is a table too.
    """
    path = delivery.path
    with _uncompressed(path) as (plain, is_tar):
        if not is_tar:
            yield plain
        else:
            with tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 20) as archive:
                members = enumerate(_files_of(archive))
                others = [] if beside is None else beside
                for number, (member, stream) in members:
                    if number == delivery.member:
                        yield stream
                        break
                    others.append(member.name)
                else:
                    raise SourceError("the archive changed while it was read.", where=str(path), do="run it again")
                for _, (member, stream) in members:
                    if isinstance(_of_member(path, member, stream.read(_HEAD_BYTES), delivery.among), Recognised):
                        raise SourceError(
                            "the archive holds more than one table.", where=str(path), do="unpack it there"
                        )
                    others.append(member.name)
        _drain(plain)


@contextmanager
def _uncompressed(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The bytes of a file, and whether they are a tar archive's. Raises SourceError, for reading inside too."""
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] != b"\x1f\x8b":
                yield raw, False
                return
            with _gunzip(path) as start:
                is_tar = start.read(512)[_TAR_MAGIC] == b"ustar"
            with _gunzip(raw) as plain:
                yield plain, is_tar
    except _UNREADABLE as error:
        raise SourceError(
            f"cannot be read to its end: {str(error) or type(error).__name__}.",
            where=str(path),
            do="fetch the file again and compare its size and checksum",
        ) from error


def _gunzip(file: Path | IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", igzip.open(file, "rb"))  # type: ignore[no-untyped-call]  # isal ships no types


def _files_of(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The files of an archive in their order, but for those in which a Mac keeps attributes."""
    for member in archive:
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is not None and not Path(member.name).name.startswith("._"):
            yield member, stream


def _drain(stream: IO[bytes]) -> None:
    while stream.read(1 << 20):
        pass


def digest(delivery: Recognised, *, progress: Progress | None = None) -> Digest:
    """Hash the uncompressed bytes: a table's .csv and its .tar.gz have one digest. Raises SourceError."""
    sha256, size = hashlib.sha256(), 0
    beside: list[str] = []
    with opened(delivery, beside=beside) as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            size += len(block)
            if progress:
                progress(len(block))
    return Digest(sha256.hexdigest(), size, tuple(beside))


# ----------------------------------------------------------------------------------------- recognition


def recognise(path: Path, tables: Sequence[Table]) -> Recognised | Unrecognised:
    """Say which table a file is, by its header row, else by its content, else by its name.

    A file that is named as a table's look-alike is none, whatever its header. A table told `only_by_name` needs both:
    the name says which it is, the header where its columns stand.
    Raises SourceError for a file that is named as a table but is empty or cannot be read.
    """
    if other := _look_alike(path, path.name, tables):
        return other
    named = _named(path.name, tables)
    try:
        with _uncompressed(path) as (plain, is_tar):
            if is_tar:
                return _of_archive(path, plain, tables, named)
            head = plain.read(_HEAD_BYTES)
    except SourceError as error:
        if named:
            raise
        return Unrecognised(path, error.what)
    return _of_head(path, head, tables, named)


def _of_archive(
    path: Path, plain: IO[bytes], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised:
    """The first file that is a table; failing that the likeliest one, judged by the archive's name."""
    likeliest: tuple[bool, int, bytes, str] | None = None
    with tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 20) as archive:
        for number, (member, stream) in enumerate(_files_of(archive)):
            head = stream.read(_HEAD_BYTES)
            found = _of_member(path, member, head, tables)
            if isinstance(found, Recognised):
                return replace(found, member=number)
            is_csv = member.name.endswith(".csv")
            if likeliest is None or is_csv > likeliest[0]:
                likeliest = is_csv, number, head, member.name
            if member.offset_data + member.size > _SEARCHED_BYTES:
                break
    if likeliest is None:
        raise SourceError("the archive holds no table.", where=str(path), do="fetch the file again")
    _, number, head, name = likeliest
    found = _look_alike(path, Path(name).name, tables) or _of_head(path, head, tables, named)
    return replace(found, member=number) if isinstance(found, Recognised) else found


def _of_member(path: Path, member: tarfile.TarInfo, head: bytes, tables: Sequence[Table]) -> Recognised | Unrecognised:
    name = Path(member.name)
    named = _named(name.name, tables) if name.suffix in {"", ".csv"} else None
    return _look_alike(path, name.name, tables) or _of_head(path, head, tables, named)


def _of_head(path: Path, head: bytes, tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    if not head.strip():
        if named:
            raise SourceError("the file is empty.", where=str(path), do="fetch it again")
        return Unrecognised(path, "the file is empty")
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]
    lines = [line.rstrip("\r") for line in lines if line.strip()][:_SAMPLE_LINES]
    rows = [_unquoted(line) for line in lines]
    if not rows:
        return Unrecognised(path, f"no line ends within its first {_HEAD_BYTES} bytes")
    found = _by_header(path, rows[0], tables, named) or _by_content(path, rows, tables, named)
    return replace(found, among=tuple(tables)) if isinstance(found, Recognised) else found


def _named(file_name: str, tables: Sequence[Table]) -> Table | None:
    stem = file_name.split(".", maxsplit=1)[0]
    return next((table for table in tables if stem in table.stems), None)


def _look_alike(path: Path, file_name: str, tables: Sequence[Table]) -> Unrecognised | None:
    stem = file_name.split(".", maxsplit=1)[0]
    for table in tables:
        for start, why in table.look_alikes:
            if stem.startswith(start) and stem not in table.stems:
                return Unrecognised(path, why)
    return None


def _by_header(
    path: Path, first: list[str], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised | None:
    names = [name.strip().lower() for name in first]
    best: Table | None = None
    best_missing: list[str] = []
    alike: list[str] = []
    for table in sorted(tables, key=lambda table: table is not named):
        missing = [name for name in table.column_names if name not in names]
        extra = [name for name in names if name not in table.column_names]
        if not missing and len(set(names)) == len(names) and len(extra) <= 1 and set(extra) <= _INDEX_NAMES:
            if table.only_by_name and table is not named:
                alike.append(table.name)
                continue
            positions = tuple(names.index(name) for name in table.column_names)
            return Recognised(
                path, table, Layout(header=True, index=bool(extra), positions=positions, width=len(names))
            )
        known = len(table.columns) - len(missing)
        if known >= 2 and (best is None or known > len(best.columns) - len(best_missing)):
            best, best_missing = table, missing or extra
    if alike:
        return Unrecognised(path, f"its header is that of {', '.join(alike)}, which are known by their file names")
    if best is None:
        return None
    what = "lacks" if best_missing and best_missing[0] not in names else "has besides"
    return Unrecognised(path, f"its header is not {best.name}'s: it {what} {', '.join(best_missing)}")


def _by_content(
    path: Path, rows: list[list[str]], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised:
    for table in sorted((table for table in tables if not table.only_by_name), key=lambda table: table is not named):
        width = len(table.columns)
        for index in (False, True):
            fitting = sum(_fits(row, table, index=index) for row in rows)
            if fitting >= _FITTING_SHARE * len(rows):
                return Recognised(path, table, _headerless(width, index=index))
    if named and named.only_by_name:
        return Unrecognised(path, f"it has no header row, and {named.name} is read by the names of its columns")
    if named:
        return Recognised(path, named, _headerless(len(named.columns), index=False))
    return Unrecognised(path, "neither its header row nor its lines are those of a known table")


def _headerless(width: int, *, index: bool) -> Layout:
    first = int(index)
    return Layout(header=False, index=index, positions=tuple(range(first, width + first)), width=width + first)


def _fits(row: list[str], table: Table, *, index: bool) -> bool:
    if index:
        if not row or not row[0].isdigit():
            return False
        row = row[1:]
    if len(row) != len(table.columns) or not any(column.pattern for column in table.columns):
        return False
    for text, column in zip(row, table.columns, strict=True):
        if not text:
            if column.required:
                return False
        elif column.kind == "number":
            if not _NUMBER.fullmatch(text.strip()):
                return False
        elif column.pattern and not re.fullmatch(column.pattern, text):
            return False
    return True


# ------------------------------------------------------------------------------------------- conversion


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
                fields=pl.Series([_unquoted(line) for line in quoted["raw_text"]], dtype=pl.List(pl.String))
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


def _unquoted(line: str) -> list[str]:
    """The fields of a line with quotes; an unclosed quote is one field, so the line is refused by its field count."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return [line]


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
