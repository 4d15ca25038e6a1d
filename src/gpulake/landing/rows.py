"""Rows out of any format: typed, numbered and checked as the contract says, written as Parquet or refused.

A file is read in chunks, decompressed on the way, so that neither a temporary file nor more than a few chunks of memory
is needed. A chunk without a fault stays as its format reads it at full speed; any other is looked at closely, and each
refused row is kept whole with its reason. Which way a chunk goes depends on its bytes alone, so equal bytes give equal
rows.
"""

from __future__ import annotations

import ctypes
import signal
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl
import pyarrow as pa

from gpulake.contract import Column, Delimited, JsonLines, Parquet, Parsed, Table
from gpulake.errors import LakeError
from gpulake.landing import delimited, jsonlines, parsed
from gpulake.landing.files import Progress
from gpulake.landing.lines import CHUNK_BYTES
from gpulake.landing.recognition import Recognised, opened
from gpulake.landing.times import LATEST_S, LONGEST_S, moment
from gpulake.landing.values import MISSING

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# The import of Polars lets no Ctrl-C end a wait: that for a hash, or for dbt, would go on to its own end.
signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003  # takes no keywords

_ROWS_OF_A_SHEET = 1_000_000
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


Body = tuple[float, float]
"""The first and the last time of a delivery that are not far out."""


class Chunk(Protocol):
    """Some rows of a delivery, as one format reads them: a column per column of the table, and the source_row.

    Values are text, or what the file types them as; what is empty is null.
    """

    @property
    def size(self) -> int:
        """How many more bytes of the delivery have been read."""
        ...

    def quick(self) -> pl.DataFrame | None:
        """The rows at full speed, or None where they need a closer look."""
        ...

    def closely(self) -> pl.DataFrame:
        """The rows with their raw_text, and a reason where a row cannot be taken apart."""
        ...


@dataclass(frozen=True)
class Converted:
    """What became of one file. `refused` has source_row, reason, raw_text; event times are source seconds.

    `times_unknown` counts local times that the clocks of the cluster's zone show twice, or never, `missing` the numbers
    and times of each column that the kept rows lack; `left` are the names of fields that no column took.
    """

    files: tuple[Path, ...]
    rows_kept: int
    refused: pa.Table
    times_unknown: int
    missing: Mapping[str, int]
    left: tuple[str, ...]
    min_event_s: float | None
    max_event_s: float | None

    @property
    def rows_in(self) -> int:
        """Every row: of text, every line that is not blank and not a header."""
        return self.rows_kept + int(self.refused.num_rows)


def convert(
    delivery: Recognised,
    *,
    landing_id: str,
    folder: Path,
    time_zone: str,
    progress: Progress | None = None,
    workers: int = 2,
) -> Converted:
    """Write the good rows of a delivery as Parquet files into `folder`, typed, with landing_id and source_row.

    File names derive from the landing, so a conversion that was cut off is overwritten by the next. Raises SourceError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _keep_freed_memory()
    parts = _parts(delivery, None, landing_id, folder, time_zone, progress, workers)
    body = _body(parts, delivery.table)
    if body:
        # Few deliveries have a time that is far out: only those are read twice.
        parts = _parts(delivery, body, landing_id, folder, time_zone, None, workers)
    converted = together(parts, left=delivery.layout.left)
    # What no row has of what a file may lack is no gap in it.
    lackable = {column.name for column in delivery.table.columns if column.may_lack}
    missing = {
        name: count for name, count in converted.missing.items() if count < converted.rows_kept or name not in lackable
    }
    return replace(converted, missing=missing)


def together(parts: Sequence[Part], *, left: Sequence[str] = ()) -> Converted:
    """What became of all chunks."""
    starts = [part.min_event_s for part in parts if part.min_event_s is not None]
    ends = [part.max_event_s for part in parts if part.max_event_s is not None]
    missing = sum((Counter(part.missing) for part in parts), Counter[str]())
    return Converted(
        files=tuple(part.file for part in parts if part.file is not None),
        rows_kept=sum(part.rows for part in parts),
        refused=pl.concat([_no_refusals(), *(part.refused for part in parts)]).to_arrow(),
        times_unknown=sum(part.times_unknown for part in parts),
        missing=dict(missing.most_common()),
        left=tuple(dict.fromkeys([*left, *sorted({name for part in parts for name in part.left})])),
        min_event_s=min(starts, default=None),
        max_event_s=max(ends, default=None),
    )


def _parts(
    delivery: Recognised,
    body: Body | None,
    landing_id: str,
    folder: Path,
    time_zone: str,
    progress: Progress | None,
    workers: int,
) -> list[Part]:
    parts: list[Part] = []
    with ThreadPoolExecutor(workers) as pool, _chunks(delivery) as read, _sheets() as sheets:
        waiting: deque[Future[Part]] = deque()
        for number, chunk in enumerate(read):
            file = folder / f"ducklake-{landing_id[:24]}-{number:05}.parquet"
            if body:
                file.unlink(missing_ok=True)  # of the first reading, which kept rows that this one may refuse
            waiting.append(pool.submit(_convert_chunk, chunk, delivery.table, body, time_zone, landing_id, file))
            if len(waiting) > workers:
                parts.append(sheets.put(waiting.popleft().result()))
            if progress:
                progress(chunk.size)
        parts.extend(sheets.put(future.result()) for future in waiting)
    return parts


def _body(parts: Sequence[Part], table: Table) -> Body | None:
    """Between which times the most rows lie, where others are parted from them by a break that no table has.

    Of equal bodies the earliest. None where all times are of one body.
    """
    lows = [part.min_event_s for part in parts if part.min_event_s is not None]
    highs = [part.max_event_s for part in parts if part.max_event_s is not None]
    if not table.span or max(highs, default=0.0) - min(lows, default=0.0) <= LONGEST_S:
        return None
    columns = _times(table)
    files = [part.file for part in parts if part.file is not None]
    frame = pl.concat([pl.read_parquet(file, columns=list(columns)) for file in files])
    times = frame.select(pl.concat_list(list(columns.values())).explode().alias("at"))["at"].drop_nulls().sort()
    bodies = pl.DataFrame({"at": times, "body": (times.diff() > LONGEST_S).fill_null(value=False).cum_sum()})
    ranges = bodies.group_by("body").agg(pl.len().alias("times"), low=pl.min("at"), high=pl.max("at"))
    if ranges.height == 1:
        return None
    low, high = ranges.sort("times", "low", descending=[True, False]).select("low", "high").row(0)
    return low, high


def _keep_freed_memory() -> None:
    """Ask glibc to use a freed chunk again: given back to the kernel, each costs thousands of page faults anew."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        # An older glibc refuses the first. The second alone would still stop its threshold of mapping from rising.
        if mallopt(_M_MMAP_THRESHOLD, 8 * CHUNK_BYTES) == 1:
            mallopt(_M_TRIM_THRESHOLD, 8 * CHUNK_BYTES)


@contextmanager
def _chunks(delivery: Recognised) -> Iterator[Iterator[Chunk]]:
    """The chunks of a delivery, in the format of its table. Raises SourceError, while they are read too."""
    layout, table = delivery.layout, delivery.table
    columns = {at: column for at, column in zip(layout.positions, table.columns, strict=True) if at is not None}
    match table.format:
        case Delimited(delimiter=delimiter):
            with opened(delivery) as stream:
                fields = delimited.Fields(columns, layout.width, delimiter)
                yield delimited.chunks(stream, fields, header=layout.header)
        case JsonLines():
            with opened(delivery) as stream:
                yield jsonlines.chunks(stream, table.column_names, needed=table.needed_names)
        case Parsed():
            with opened(delivery) as stream:
                yield parsed.chunks(stream, table.format, delivery.path.name)
        case Parquet():
            from gpulake.landing import parquet

            yield parquet.chunks(delivery.path, {place: column.name for place, column in columns.items()})


@dataclass(frozen=True)
class Part:
    """What became of one chunk. `held`: its rows, where they are not in the file yet."""

    file: Path | None
    rows: int
    refused: pl.DataFrame
    times_unknown: int
    missing: Mapping[str, int]
    left: frozenset[str]
    min_event_s: float | None
    max_event_s: float | None
    held: pa.Table | None = None


class _Sheets:
    """Files of numbers, each of the rows of many chunks: a day of a fleet's samples is a few files, and none has to be merged."""

    def __init__(self) -> None:
        self._writer: pq.ParquetWriter | None = None
        self._file: Path | None = None
        self._rows = 0

    def put(self, part: Part) -> Part:
        """Write what a part holds. Its file is the one that it begins, if it begins one. Raises LakeError."""
        if part.held is None or part.file is None:
            return part
        begins = self._writer is None or self._rows >= _ROWS_OF_A_SHEET
        if begins:
            self.close()
        with _told(part.file):
            if self._writer is None:
                self._file, self._writer = part.file, _writer(part.file, part.held.schema)
            self._writer.write_table(part.held)
        self._rows += part.held.num_rows
        return replace(part, held=None, file=part.file if begins else None)

    def close(self) -> None:
        """End the file. Raises LakeError."""
        writer, self._writer, self._rows = self._writer, None, 0
        if writer is not None and self._file is not None:
            with _told(self._file):
                writer.close()


@contextmanager
def _sheets() -> Iterator[_Sheets]:
    sheets = _Sheets()
    try:
        yield sheets
    finally:
        sheets.close()


def convert_chunk(chunk: Chunk, table: Table, body: Body | None, time_zone: str, landing_id: str, file: Path) -> Part:
    """Write the good rows of a chunk into a file, if there are any. Raises LakeError when it cannot be written."""
    with _sheets() as sheets:
        return sheets.put(_convert_chunk(chunk, table, body, time_zone, landing_id, file))


def _convert_chunk(chunk: Chunk, table: Table, body: Body | None, time_zone: str, landing_id: str, file: Path) -> Part:
    read = read_chunk(chunk, table, body, time_zone)
    frame, refused, left = read.frame, read.refused, read.left
    low, high = event_range(frame, table)
    times_unknown = int(frame["times_unknown"].sum())
    missing = missing_values(frame, table)
    if frame.height == 0:
        return Part(None, 0, refused, times_unknown, missing, left, low, high)
    rows = frame.select(*table.column_names, pl.lit(landing_id).alias("landing_id"), "source_row")
    held = _without_nul(rows).to_arrow() if _is_of_numbers(rows) else None
    if held is None:
        write(rows, file)
    return Part(file, frame.height, refused, times_unknown, missing, left, low, high, held)


@dataclass(frozen=True)
class Read:
    """The good rows of a chunk, typed, with their source_row; and those refused, with their reasons."""

    frame: pl.DataFrame
    refused: pl.DataFrame
    left: frozenset[str]


def read_chunk(chunk: Chunk, table: Table, body: Body | None, time_zone: str) -> Read:
    """Take a chunk apart, quickly where it is clean, closely where it is not: both give the same."""
    if clean := read_quickly(chunk, table, body, time_zone):
        return clean
    frame = _typed(chunk.closely(), table, time_zone, says_why=True)
    contract = _first_reason([(fault, pl.lit(why)) for why, fault in _faults(table, body).items()])
    frame = frame.with_columns(reason=pl.coalesce(pl.col("reason"), contract))
    is_refused = pl.col("reason").is_not_null()
    refused = _without_nul(frame.filter(is_refused).select(_no_refusals().columns))
    frame = frame.filter(~is_refused)
    return Read(frame, refused, _left(frame))


def read_quickly(chunk: Chunk, table: Table, body: Body | None, time_zone: str) -> Read | None:
    """Take a chunk apart at full speed; None where it needs a closer look."""
    quick = chunk.quick()
    frame = None if quick is None else _typed(quick, table, time_zone, says_why=False)
    if frame is None or not _is_clean(frame, _faults(table, body)):
        return None
    return Read(frame, _no_refusals(), _left(frame))


def _left(frame: pl.DataFrame) -> frozenset[str]:
    return frozenset(frame["left"].explode().drop_nulls()) if "left" in frame.columns else frozenset()


def joined(reads: Sequence[Read], table: Table) -> Read:
    """What was read of several chunks as if it were one; what only some of them know is left out."""
    names = ["source_row", "times_unknown", *table.column_names, *map(_missing, _of_type_time(table))]
    return Read(
        pl.concat([read.frame.select(names) for read in reads]),
        pl.concat([read.refused for read in reads]),
        frozenset().union(*(read.left for read in reads)),
    )


def missing_values(frame: pl.DataFrame, table: Table) -> dict[str, int]:
    """How many numbers and times of each column typed rows lack; those of columns that lack none are left out."""
    return {column.name: count for column in table.columns if (count := _missing_in(frame, column))}


def write(frame: pl.DataFrame, file: Path, *, is_lasting: bool = True) -> None:
    """Write rows as a Parquet file; what does not last, as it is merged soon, at a third of the cost. Raises LakeError."""
    with _told(file):
        _write(_without_nul(frame), file, is_lasting=is_lasting)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        # Not the delivery's fault: read as one, a full disk would be told as a damaged file.
        raise LakeError(
            f"a file cannot be written: {error}.", where=str(file), do="free some space and run it again"
        ) from error


def _without_nul(frame: pl.DataFrame) -> pl.DataFrame:
    """Its texts without NUL: DuckLake writes values into its own SQL, which ends at one, and no table could be read by it."""
    text = pl.col(pl.String)
    if not frame.select(pl.any_horizontal(text.str.contains("\0", literal=True).any(), pl.lit(value=False))).item():
        return frame
    return frame.with_columns(text.str.replace_all("\0", "\ufffd", literal=True))


def _write(frame: pl.DataFrame, file: Path, *, is_lasting: bool) -> None:
    """As Parquet. Texts, of which every row has its own, are written faster and smaller by Polars: its dictionaries are of texts."""
    if not (is_lasting and _is_of_numbers(frame)):
        frame.write_parquet(file, compression="zstd", compression_level=1)
        return
    rows = frame.to_arrow()
    with _writer(file, rows.schema) as writer:
        writer.write_table(rows)


def _is_of_numbers(frame: pl.DataFrame) -> bool:
    """Whether most columns are numbers, as of samples."""
    return 2 * sum(kind == pl.Float64 for kind in frame.schema.values()) >= frame.width


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Samples are numbers that say the same again and again: a sixth less room with a dictionary of them."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in schema.names if name != "source_row"],
        column_encoding={"source_row": "DELTA_BINARY_PACKED"},
    )


def _typed(frame: pl.DataFrame, table: Table, time_zone: str, *, says_why: bool) -> pl.DataFrame:
    """Give each column its contract's type, each row a reason where a value is not of it, and count times unknown.

    Unless it `says_why`, the reason only shows that there is one: each would be looked for in all rows, for the few that have one.
    """
    values: dict[str, pl.Expr] = {}
    faults: list[tuple[pl.Expr, pl.Expr]] = []
    unknown: list[pl.Expr] = [pl.lit(0)]
    for column in table.columns:
        if column.name not in frame.columns:
            values |= _lacking(column)
            continue
        field, dtype = pl.col(column.name), frame.schema[column.name]
        if column.kind != "text" and dtype == pl.String:
            field = field.str.strip_chars()
            field = pl.when((field != "") & ~field.str.to_lowercase().is_in(MISSING)).then(field)
        match column.kind:
            case "text":
                values[column.name] = field.cast(pl.String)
            case "number":
                number = field if dtype.is_numeric() else field.cast(pl.String)
                number = number.cast(pl.Float64, strict=False)
                if dtype != pl.Float64:
                    faults.append(_unread(column, field, number, "number"))
                values[column.name] = number.fill_nan(None)
            case "time":
                time = moment(field, dtype=dtype, form=column.form, time_zone=time_zone)
                values[column.name] = time.utc
                values[_missing(column)] = time.written.is_null()
                faults.append(_unread(column, field, time.written, f"time ({column.form})"))
                unknown.append((time.written.is_not_null() & time.utc.is_null()).cast(pl.Int64))
    reason = pl.col("reason") if "reason" in frame.columns else pl.lit(None, dtype=pl.String)
    found = _first_reason(faults) if says_why else _any_reason(faults)
    return frame.with_columns(times_unknown=pl.sum_horizontal(unknown), reason=pl.coalesce(reason, found), **values)


def _lacking(column: Column) -> dict[str, pl.Expr]:
    """A column that a file has not: of the contract's type, and nothing in it."""
    kind = {"text": pl.String(), "number": pl.Float64(), "time": pl.Datetime("us")}[column.kind]
    values = {column.name: pl.lit(None, dtype=kind)}
    return values | {_missing(column): pl.lit(value=True)} if column.kind == "time" else values


def _of_type_time(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind == "time"]


def _missing(column: Column) -> str:
    """The name of what tells, row by row, that a time is missing: one that cannot be told is null too."""
    return f"{column.name} is missing"


def _missing_in(frame: pl.DataFrame, column: Column) -> int:
    if column.kind == "text":
        return 0
    return frame[column.name].null_count() if column.kind == "number" else int(frame[_missing(column)].sum())


def _is_clean(frame: pl.DataFrame, faults: Mapping[str, pl.Expr]) -> bool:
    at_fault = pl.any_horizontal(pl.col("reason").is_not_null(), *faults.values())
    return not frame.select(at_fault.any()).item()


def _unread(column: Column, field: pl.Expr, read: pl.Expr, what: str) -> tuple[pl.Expr, pl.Expr]:
    shown = pl.concat_str(pl.lit(f"{column.name} is not a {what}: '"), field.cast(pl.String), pl.lit("'"))
    return field.is_not_null() & read.is_null(), shown


def _faults(table: Table, body: Body | None) -> dict[str, pl.Expr]:
    """What makes a typed row unacceptable: reason → expression, true where the row is at fault.

    An amount that cannot be, infinity too, is no fault of its row: it is told as implausible where it is used.
    """
    faults = {f"{c.name} is missing": pl.col(c.name).is_null() for c in table.columns if c.required}
    if table.span:
        times = _times(table)
        for name, time in times.items():
            faults |= _faults_of_time(table, name, time, body)
        start, end = times[table.span.start], times[table.span.end]
        faults[f"{table.span.end} is before {table.span.start}"] = end < start
        for name, time in times.items():
            faults[f"{name} is more than ten years from {table.span.start}"] = (time - start).abs() > LONGEST_S
    return {why: fault.fill_null(value=False) for why, fault in faults.items()}


def _faults_of_time(table: Table, name: str, time: pl.Expr, body: Body | None) -> dict[str, pl.Expr]:
    faults = {}
    late, early = f"{name} is later than the year 2100", f"{name} is before 1970"
    if not _is_time(table, name):
        faults[f"{name} is not a finite number"] = ~pl.col(name).is_finite()
        late = f"{late}: seconds are expected"
    faults |= {late: time > LATEST_S, early: time < 0}
    if body:
        faults[f"{name} is more than ten years from the other times of the file"] = ~time.is_between(*body)
    return faults


def _times(table: Table) -> dict[str, pl.Expr]:
    """The times of a row, in the seconds that its source counts, or since 1970; what the source means as unknown is null."""
    assert table.span
    of_type_time = (column.name for column in _of_type_time(table))
    times = {name: _seconds(table, name) for name in dict.fromkeys((*table.span.names, *of_type_time))}
    unknown = table.span.null_at_or_below
    if unknown is None:
        return times
    return {name: pl.when(time > unknown).then(time).alias(name) for name, time in times.items()}


def known_at(table: Table) -> pl.Expr:
    """When what a typed row tells is known, in seconds: what lasted when it has ended, what goes on when it began.

    What has not begun is known since whatever came before, as its submission. Null where it has no time.
    """
    times = _times(table)
    assert table.span
    return pl.coalesce(*(times[name] for name in (table.span.end, table.span.start, *table.span.between)))


def _seconds(table: Table, name: str) -> pl.Expr:
    return pl.col(name).dt.epoch("us") / 1e6 if _is_time(table, name) else pl.col(name)


def _is_time(table: Table, name: str) -> bool:
    return any(column.name == name and column.kind == "time" for column in table.columns)


def _first_reason(faults: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    reason = pl.lit(None, dtype=pl.String)
    for fault, why in reversed(faults):
        reason = pl.when(fault).then(why).otherwise(reason)
    return reason


def _any_reason(faults: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    is_at_fault = pl.any_horizontal(pl.lit(value=False), *(fault for fault, _ in faults))
    return pl.when(is_at_fault).then(pl.lit("at fault"))


def _no_refusals() -> pl.DataFrame:
    return pl.DataFrame(schema={"source_row": pl.Int64, "reason": pl.String, "raw_text": pl.String})


def event_range(frame: pl.DataFrame, table: Table) -> tuple[float | None, float | None]:
    """The first and the last time of typed rows, in seconds; None where the table has none, or no row knows one."""
    if not table.span or frame.height == 0:
        return None, None
    times = _times(table)
    bounds = [times[table.span.start], times[table.span.end]]
    low, high = frame.select(
        pl.min_horizontal(time.min() for time in bounds).alias("low"),
        pl.max_horizontal(time.max() for time in bounds).alias("high"),
    ).row(0)
    return low, None if high is None else high + table.span.lasts_s
