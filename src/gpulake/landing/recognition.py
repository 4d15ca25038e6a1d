"""Which table a file is: told by its header row, else by its content, else by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from gpulake.contract import Column, Delimited, JsonLines, Parquet, Table
from gpulake.errors import SourceError
from gpulake.landing import files, jsonlines
from gpulake.landing.delimited import unquoted
from gpulake.landing.files import HEAD_BYTES, PARQUET_MAGIC, Digest, Progress, members, uncompressed
from gpulake.landing.times import ISO_8601

_SAMPLE_LINES = 50
_SEARCHED_BYTES = 64 << 20
"""How far into an archive a table may begin: a huge archive of other things is not read at each look."""

_FITTING_SHARE = 0.8
"""A headerless file is of a table when this share of its first lines fits the table's columns."""

_INDEX_NAMES = {"", "index", "unnamed: 0", "id"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """How the lines of one file map to its table: `positions[i]` is the field that holds the table's column i."""

    header: bool
    index: bool
    positions: tuple[int, ...]
    width: int
    word: str = ""

    @property
    def name(self) -> str:
        """The layout in a word, as the landing records it."""
        return (
            self.word
            or {(0, 0): "headerless", (1, 0): "header", (0, 1): "index", (1, 1): "header+index"}[
                int(self.header), int(self.index)
            ]
        )


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


def opened(delivery: Recognised, *, beside: list[str] | None = None) -> AbstractContextManager[IO[bytes]]:
    """The uncompressed bytes of a delivery as a stream: see `files.opened`. No other table may lie beside it."""

    def is_table(name: str, head: bytes) -> bool:
        return isinstance(_of_member(delivery.path, name, head, delivery.among), Recognised)

    return files.opened(delivery.path, member=delivery.member, is_table=is_table, beside=beside)


def digest(delivery: Recognised, *, progress: Progress | None = None) -> Digest:
    """Hash the uncompressed bytes: a table's .csv and its .tar.gz have one digest. Raises SourceError."""
    beside: list[str] = []
    with opened(delivery, beside=beside) as stream:
        sha256, size = files.hash_stream(stream, progress=progress)
    return Digest(sha256, size, tuple(beside))


def recognise(path: Path, tables: Sequence[Table]) -> Recognised | Unrecognised:
    """Say which table a file is, by its header row, else by its content, else by its name.

    Asked are the tables whose format is announced by the file's suffix, or all where it announces none.
    A file that is named as a table's look-alike is none, whatever its header. A table told `only_by_name` needs both:
    the name says which it is, the header where its columns stand.
    Raises SourceError for a file that is named as a table but is empty or cannot be read.
    """
    if other := _look_alike(path, path.name, tables):
        return other
    tables = _announced(path.name, tables) or tables
    named = _named(path.name, tables)
    try:
        with uncompressed(path) as (plain, is_tar):
            if is_tar:
                return _of_archive(path, plain, tables, named)
            head = plain.read(HEAD_BYTES)
        if head.startswith(PARQUET_MAGIC):
            return _of_parquet(path, tables, named)
    except SourceError as error:
        if named:
            raise
        return Unrecognised(path, error.what)
    return _of_head(path, head, tables, named)


def endings(tables: Sequence[Table]) -> tuple[str, ...]:
    """How the names of files end that may be one of the tables."""
    plain = dict.fromkeys(suffix for table in tables for suffix in table.format.suffixes)
    text = dict.fromkeys(s for table in tables if not isinstance(table.format, Parquet) for s in table.format.suffixes)
    return (*plain, *(f"{suffix}.gz" for suffix in text), ".tar.gz", ".tgz")


def _announced(file_name: str, tables: Sequence[Table]) -> list[Table]:
    """The tables whose format has the suffix of a file."""
    name = file_name.removesuffix(".gz")
    return [table for table in tables if name.endswith(table.format.suffixes)]


def _of_archive(
    path: Path, plain: IO[bytes], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised:
    """The first file that is a table; failing that the likeliest one, judged by the archive's name."""
    likeliest: tuple[bool, int, bytes, str] | None = None
    with members(plain) as inside:
        for member in inside:
            head = member.stream.read(HEAD_BYTES)
            found = _of_member(path, member.name, head, tables)
            if isinstance(found, Recognised):
                return replace(found, member=member.number)
            is_likely = bool(_announced(member.name, tables))
            if likeliest is None or is_likely > likeliest[0]:
                likeliest = is_likely, member.number, head, member.name
            if member.ends_at > _SEARCHED_BYTES:
                break
    if likeliest is None:
        raise SourceError("the archive holds no table.", where=str(path), do="fetch the file again")
    _, number, head, name = likeliest
    found = _look_alike(path, Path(name).name, tables) or _of_head(path, head, tables, named)
    return replace(found, member=number) if isinstance(found, Recognised) else found


def _of_member(path: Path, name: str, head: bytes, tables: Sequence[Table]) -> Recognised | Unrecognised:
    inside = Path(name)
    announced = _announced(inside.name, tables)
    named = _named(inside.name, announced or tables) if announced or not inside.suffix else None
    return _look_alike(path, inside.name, tables) or _of_head(path, head, announced or tables, named)


def _of_head(path: Path, head: bytes, tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    if not head.strip():
        if named:
            raise SourceError("the file is empty.", where=str(path), do="fetch it again")
        return Unrecognised(path, "the file is empty")
    if head.startswith(PARQUET_MAGIC):
        return Unrecognised(path, "a Parquet file is read as it is only: unpack it")
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(head) == HEAD_BYTES:
        lines = lines[:-1]
    lines = [line.rstrip("\r") for line in lines if line.strip()][:_SAMPLE_LINES]
    if not lines:
        return Unrecognised(path, f"no line ends within its first {HEAD_BYTES} bytes")
    found = _of_lines(path, lines, tables, named)
    return replace(found, among=tuple(tables)) if isinstance(found, Recognised) else found


def _of_lines(path: Path, lines: list[str], tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    """Ask each format in turn, that of the table which the file is named as first; a near miss says the most."""
    near: Unrecognised | None = None
    formats = dict.fromkeys(table.format for table in sorted(tables, key=lambda table: table is not named))
    for form in formats:
        of_format = [table for table in tables if table.format == form]
        of_name = named if named in of_format else None
        match form:
            case Delimited(delimiter=delimiter):
                rows = [unquoted(line, delimiter) for line in lines]
                found = _by_header(path, rows[0], of_format, of_name) or _by_content(path, rows, of_format, of_name)
            case JsonLines():
                found = _by_keys(path, lines, of_format, of_name)
            case _:
                continue
        if isinstance(found, Recognised):
            return found
        near = near or found
    if named and isinstance(named.format, Parquet):
        raise SourceError("it is no Parquet file.", where=str(path), do="fetch it again")
    return near or Unrecognised(path, "neither its header row nor its lines are those of a known table")


def _of_parquet(path: Path, tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    # It takes a tenth of a second to load.
    from gpulake.landing.parquet import columns_of

    asked = [table for table in tables if isinstance(table.format, Parquet)]
    names = columns_of(path)
    found = _by_header(path, names, asked, named) or Unrecognised(path, "its columns are those of no known table")
    if not isinstance(found, Recognised) and named in asked:
        raise SourceError(f"{found.reason}.", where=str(path), do="compare its columns with the table's")
    return found


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
) -> Recognised | Unrecognised | None:
    for table in sorted((table for table in tables if not table.only_by_name), key=lambda table: table is not named):
        width = len(table.columns)
        for index in (False, True):
            fitting = sum(_fits(row, table, index=index) for row in rows)
            if fitting >= _FITTING_SHARE * len(rows):
                return Recognised(path, table, headerless(width, index=index))
    if named and named.only_by_name:
        return Unrecognised(path, f"it has no header row, and {named.name} is read by the names of its columns")
    return Recognised(path, named, headerless(len(named.columns), index=False)) if named else None


def _by_keys(path: Path, lines: list[str], tables: Sequence[Table], named: Table | None) -> Recognised | None:
    found = [jsonlines.keys_of(line) for line in lines]
    for table in sorted(tables, key=lambda table: table is not named):
        needed = {column.name for column in table.columns if column.required}
        fitting = sum(bool(keys) and needed <= keys <= set(table.column_names) for keys in found if keys is not None)
        if table is named or (not table.only_by_name and fitting >= _FITTING_SHARE * len(lines)):
            width = len(table.columns)
            return Recognised(path, table, replace(headerless(width, index=False), word="keys"))
    return None


def headerless(width: int, *, index: bool) -> Layout:
    """The columns in the contract's order, behind a row number where there is one."""
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
        elif column.kind != "text":
            if not _looks_like(column, text.strip()):
                return False
        elif column.pattern and not re.fullmatch(column.pattern, text):
            return False
    return True


def _looks_like(column: Column, text: str) -> bool:
    """Whether a text may be a number or a time; the rows' own reader decides."""
    if column.kind == "number" or column.form in {"epoch_s", "epoch_ms"}:
        return bool(_NUMBER.fullmatch(text))
    if column.form == "iso8601":
        return bool(re.match(ISO_8601, text))
    try:
        datetime.strptime(text, column.form)  # noqa: DTZ007  # only whether it can be read
    except ValueError:
        return False
    return True
