"""Which table a file is: told by its header row, else by its content, else by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from gpulake.contract import Column, Delimited, JsonLines, Parquet, Parsed, Table
from gpulake.errors import ContractError, SourceError
from gpulake.landing import files, jsonlines
from gpulake.landing.delimited import unquoted
from gpulake.landing.files import (
    ARCHIVE_ENDINGS,
    COMPRESSED_ENDINGS,
    HEAD_BYTES,
    PARQUET_MAGIC,
    Archive,
    Digest,
    Progress,
    is_compressed,
    members,
    uncompressed,
)
from gpulake.landing.times import EPOCH_SECONDS, ISO_8601
from gpulake.landing.values import DECIMAL_COMMA, is_missing

_SAMPLE_LINES = 50
_SEARCHED_BYTES = 64 << 20
"""How far into an archive a table may begin: a huge archive of other things is not read at each look."""

_FITTING_SHARE = 0.8
"""A headerless file is of a table when this share of its first lines fits the table's columns."""

_NO_ROWS = "it names the columns of {} and has no rows"
_INDEX_NAMES = {"", "index", "unnamed: 0", "id"}
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """How the lines of one file map to its table: `positions[i]` is the field that holds the table's column i, if one does.

    `fields` are the names in the header.
    """

    header: bool
    index: bool
    positions: tuple[int | None, ...]
    width: int
    word: str = ""
    fields: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """The names of further fields, which no column takes; an index is none."""
        return () if self.index else tuple(name for at, name in enumerate(self.fields) if at not in self.positions)

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
    """A file that is a delivery of `table`; in an archive the file at `member`, told apart from the tables `among`.

    `begins_s`: when what it tells begins, in seconds since 1970, where its format says so at a glance.
    """

    path: Path
    table: Table
    layout: Layout
    member: int = 0
    among: tuple[Table, ...] = field(default=(), repr=False)
    begins_s: float | None = None


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


def recognise(path: Path, tables: Sequence[Table], *, with_look_alikes: bool = False) -> Recognised | Unrecognised:
    """Say which table a file is, by its header row, else by its content, else by its name.

    Asked are the tables whose format is announced by the file's ending, or all where it announces none.
    A file that is named as a table's look-alike is none, whatever its header, unless look-alikes are asked for. A table
    told `only_by_name` needs both: the name says which it is, the header where its columns stand.
    Raises SourceError for a file that is a table, or is named as one, but is empty or cannot be read, and ContractError
    for one that is named as a table and lacks columns.
    """
    if with_look_alikes:
        tables = [replace(table, stems=(*table.stems, *_own_stem(path, table)), look_alikes=()) for table in tables]
    if other := _look_alike(path, path.name, tables):
        return other
    tables = [*tables, *(other for table in tables for other in table.in_other_formats)]
    tables = _announced(path.name, tables) or tables
    named = _named(path.name, tables)
    try:
        with uncompressed(path) as (plain, archive):
            if archive:
                return _of_archive(path, plain, archive, tables, named)
            head = plain.read(HEAD_BYTES)
        if head.startswith(PARQUET_MAGIC) and path.name.lower().endswith(COMPRESSED_ENDINGS):
            return _not_unpacked(path, "a Parquet file is read as it is only: unpack it", named)
        if head.startswith(PARQUET_MAGIC):
            return _of_parquet(path, tables, named)
    except SourceError as error:
        if named:
            raise
        return Unrecognised(path, error.what)
    return _of_head(path, head, tables, named)


def endings(tables: Sequence[Table]) -> tuple[str, ...]:
    """How the names of files end that may be one of the tables, in any case."""
    forms = [form for table in tables for form in (table, *table.in_other_formats)]
    plain = dict.fromkeys(suffix.lower() for table in forms for suffix in table.format.suffixes)
    return (*plain, *COMPRESSED_ENDINGS, *ARCHIVE_ENDINGS)


def name_alike(path: Path, table: Table) -> bool:
    """Whether a file bears the name of a look-alike of a table."""
    return bool(_own_stem(path, table))


def named_table(path: Path, tables: Sequence[Table]) -> Table | None:
    """The table whose name a file bears, whatever its ending."""
    return _named(path.name, tables)


def _announced(file_name: str, tables: Sequence[Table]) -> list[Table]:
    """The tables whose format has the ending of a file."""
    name = file_name.lower()
    packed = next((ending for ending in COMPRESSED_ENDINGS if name.endswith(ending)), "")
    name = name.removesuffix(packed)
    return [table for table in tables if name.endswith(tuple(suffix.lower() for suffix in table.format.suffixes))]


def _of_archive(
    path: Path, plain: IO[bytes], archive: Archive, tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised:
    """The first file that is a table; failing that the likeliest one, judged by the archive's name."""
    likeliest: tuple[bool, int, bytes, str] | None = None
    with members(plain, archive) as inside:
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
        return _not_unpacked(path, "a Parquet file is read as it is only: unpack it", named)
    if is_compressed(head):
        return _not_unpacked(path, "it holds a compressed file: unpack it once", named)
    for table in sorted(tables, key=lambda table: table is not named):
        if isinstance(table.format, Parsed) and table.format.is_it(head):
            begins_s = table.format.begins_s(head) if table.format.begins_s else None
            layout = replace(_by_key(table), word="parsed")
            return Recognised(path, table, layout, among=tuple(tables), begins_s=begins_s)
    encoding = _of_two_bytes(head)
    lines = head.decode(encoding or "utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(head) == HEAD_BYTES:
        lines = lines[:-1]
    lines = [line.rstrip("\r") for line in lines if line.strip()][:_SAMPLE_LINES]
    if not lines:
        return Unrecognised(path, f"no line ends within its first {HEAD_BYTES} bytes")
    if encoding:
        return _of_another_encoding(path, lines, encoding, tables, named)
    found = _of_lines(path, lines, tables, named)
    if not isinstance(found, Recognised):
        return found
    if len(lines) == 1 and len(head) < HEAD_BYTES and found.layout.header and may_be_empty(found.table):
        return Unrecognised(path, _NO_ROWS.format(found.table.name))
    return replace(found, among=tuple(tables))


def may_be_empty(table: Table) -> bool:
    """Whether a file of it without rows says that nothing was the case: what is delivered by the day has such days."""
    return any(column.may_lack for column in table.columns)


def _is_read_by_names(table: Table) -> bool:
    """Whether a file of it must name its columns: which of them it lacks, their order cannot tell."""
    return table.only_by_name or any(column.may_lack for column in table.columns)


def _not_unpacked(path: Path, why: str, named: Table | None) -> Unrecognised:
    if named:
        raise SourceError(f"{why}.", where=str(path), do="unpack it there")
    return Unrecognised(path, why)


def _of_two_bytes(head: bytes) -> str:
    """UTF-32 or UTF-16, by its mark or by the zeros that it puts beside Latin letters; else nothing."""
    marks = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    if marked := next((encoding for mark, encoding in marks.items() if head.startswith(mark)), ""):
        return marked
    even, odd = head[0:400:2], head[1:400:2]
    if min(even.count(0), odd.count(0)) < len(odd) // 10 and max(even.count(0), odd.count(0)) > len(odd) // 2:
        return "utf-16-le" if odd.count(0) > even.count(0) else "utf-16-be"
    return ""


def _of_another_encoding(
    path: Path, lines: list[str], encoding: str, tables: Sequence[Table], named: Table | None
) -> Unrecognised:
    what = f"it is in {encoding[:6].upper()}, where UTF-8 is expected"
    if named or isinstance(_of_lines(path, lines, tables, None), Recognised):
        raise SourceError(f"{what}.", where=str(path), do="save it as UTF-8")
    return Unrecognised(path, what)


def _of_lines(path: Path, lines: list[str], tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    """Ask each format in turn, that of the table which the file is named as first; a near miss says the most."""
    near: Unrecognised | None = None
    formats = dict.fromkeys(table.format for table in sorted(tables, key=lambda table: table is not named))
    for form in formats:
        of_format = [table for table in tables if table.format == form]
        match form:
            case Delimited(delimiter=delimiter):
                found = _of_fields(path, [unquoted(line, delimiter) for line in lines], of_format, named)
                if not isinstance(found, Recognised):
                    _refuse_other_delimiters(path, lines, delimiter, of_format, named)
            case JsonLines():
                found = _by_keys(path, lines, of_format, named)
            case _:
                continue
        if isinstance(found, Recognised):
            return found
        near = near or found
    if named is None:
        return near or Unrecognised(path, "neither its header row nor its lines are those of a known table")
    if near:
        raise ContractError(f"{near.reason}.", where=str(path), do="compare its columns with the table's")
    match named.format:
        case Parquet():
            raise SourceError("it is no Parquet file.", where=str(path), do="fetch it again")
        case JsonLines():
            return Recognised(path, named, _by_key(named))
        case Parsed():
            raise ContractError(f"it is none of the texts that {named.name} is read from.", where=str(path))
    if _is_read_by_names(named):
        raise ContractError(
            f"it has no header row, and {named.name} is read by the names of its columns.", where=str(path)
        )
    return Recognised(path, named, headerless(len(named.columns), index=False))


def _of_fields(
    path: Path, rows: list[list[str]], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised | None:
    """By the header, else by the content. Raises SourceError for a table whose numbers have decimal commas."""
    found = _by_header(path, rows[0], tables, named) or _by_content(path, rows, tables, named)
    if isinstance(found, Recognised):
        numbers = [
            at
            for at, column in zip(found.layout.positions, found.table.columns, strict=True)
            if column.kind == "number" and at is not None
        ]
        written = [row[at].strip() for row in rows for at in numbers if at < len(row)]
        with_comma = [text for text in written if DECIMAL_COMMA.fullmatch(text)]
        if with_comma and not any("." in text for text in written if _NUMBER.fullmatch(text)):
            raise SourceError(
                f"its numbers have decimal commas, as '{with_comma[0]}', where points are expected.",
                where=str(path),
                do="save it with decimal points",
            )
    return found


def _refuse_other_delimiters(
    path: Path, lines: list[str], delimiter: str, tables: Sequence[Table], named: Table | None
) -> None:
    """Raise SourceError where the lines are those of a table, but parted otherwise than it has them."""
    for other in set(_DELIMITERS) - {delimiter}:
        rows = [
            [field.replace(",", ".") if DECIMAL_COMMA.fullmatch(field) else field for field in unquoted(line, other)]
            for line in lines
        ]
        found = _by_header(path, rows[0], tables, named) or _by_content(path, rows, tables, named)
        table = found.table if isinstance(found, Recognised) else named
        if table is None:
            continue
        as_wide = sum(len(row) >= max(len(table.columns), 2) for row in rows)
        if isinstance(found, Recognised) or as_wide >= _FITTING_SHARE * len(rows):
            right = _DELIMITERS.get(delimiter, repr(delimiter))
            raise SourceError(
                f"its fields are parted by {_DELIMITERS[other]}, where {table.name} has {right}.",
                where=str(path),
                do=f"save it with {right} between fields, and points in its numbers",
            )


def _of_parquet(path: Path, tables: Sequence[Table], named: Table | None) -> Recognised | Unrecognised:
    # It takes a tenth of a second to load.
    from gpulake.landing.parquet import check_columns, columns_of, rows_of

    asked = [table for table in tables if isinstance(table.format, Parquet)]
    found = _by_header(path, columns_of(path), asked, named)
    if isinstance(found, Recognised):
        check_columns(path, [at for at in found.layout.positions if at is not None])
        if rows_of(path) == 0 and may_be_empty(found.table):
            return Unrecognised(path, _NO_ROWS.format(found.table.name))
        return replace(found, layout=replace(found.layout, word="columns"))
    found = found or Unrecognised(path, "its columns are those of no known table")
    if named in asked:
        raise ContractError(f"{found.reason}.", where=str(path), do="compare its columns with the table's")
    return found


def _named(file_name: str, tables: Sequence[Table]) -> Table | None:
    stem = _stem(file_name)
    return next((table for table in tables if stem in map(str.lower, table.stems)), None)


def _look_alike(path: Path, file_name: str, tables: Sequence[Table]) -> Unrecognised | None:
    why = next((why for table in tables if (why := _why_alike(_stem(file_name), table))), "")
    return Unrecognised(path, why) if why else None


def _why_alike(stem: str, table: Table) -> str:
    if stem in map(str.lower, table.stems):
        return ""
    return next((why for start, why in table.look_alikes if stem.startswith(start.lower())), "")


def _own_stem(path: Path, table: Table) -> tuple[str, ...]:
    stem = _stem(path.name)
    return (stem,) if _why_alike(stem, table) else ()


def _stem(file_name: str) -> str:
    return file_name.split(".", maxsplit=1)[0].lower()


def _by_header(
    path: Path, first: list[str], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised | None:
    """The table that the header names whole: the one that the file is named as, else the one with the most columns."""
    names = [name.strip().lower() for name in first]
    whole, alike, strange = [], [], []
    best: Table | None = None
    best_missing: list[str] = []
    best_known = 1
    for table in tables:
        missing = [
            column.name
            for column in table.columns
            if names.count(column.name) > 1 or (column.name not in names and not column.may_lack)
        ]
        if not missing and not (table is named or _is_most(names, table)):
            strange.append(table)
        elif missing:
            known = sum(names.count(name) == 1 for name in table.column_names)
            if known > best_known or (table is named and known >= (1 if _is_read_by_names(table) else 2)):
                best, best_missing, best_known = table, missing, known
        elif table.only_by_name and table is not named:
            alike.append(table.name)
        else:
            whole.append(table)
    if whole:
        table = max(whole, key=lambda table: (table is named, len(set(names) & set(table.column_names))))
        positions = tuple(names.index(name) if name in names else None for name in table.column_names)
        further = [name for name in names if name not in table.column_names]
        index = len(further) == 1 and further[0] in _INDEX_NAMES
        layout = Layout(header=True, index=index, positions=positions, width=len(names), fields=tuple(names))
        return Recognised(path, table, layout)
    if alike:
        return Unrecognised(path, f"its header is that of {', '.join(alike)}, which are known by their file names")
    if strange:
        table = max(strange, key=lambda table: len(set(names) & set(table.column_names)))
        what = f"it has what {table.name} needs, but most of its columns are none of it"
        return Unrecognised(path, f"{what}: it is read where it is named {table.stems[0]}.")
    if best is None:
        return None
    twice = [name for name in best_missing if name in names]
    what = f"has {', '.join(twice)} twice" if twice else f"lacks {', '.join(best_missing)}"
    return Unrecognised(path, f"its header is not {best.name}'s: it {what}")


def _is_most(names: list[str], table: Table) -> bool:
    """Whether a header that names all that a table needs is its own: more of its names are known to it than are not."""
    return len(table.needed_names) == len(table.columns) or 2 * len(set(names) & set(table.column_names)) > len(names)


def _by_content(path: Path, rows: list[list[str]], tables: Sequence[Table], named: Table | None) -> Recognised | None:
    for table in sorted((table for table in tables if not table.only_by_name), key=lambda table: table is not named):
        width = len(table.columns)
        for index in (False, True):
            fitting = sum(_fits(row, table, index=index) for row in rows)
            if fitting >= _FITTING_SHARE * len(rows):
                return Recognised(path, table, headerless(width, index=index))
    return None


def _by_keys(
    path: Path, lines: list[str], tables: Sequence[Table], named: Table | None
) -> Recognised | Unrecognised | None:
    """The table whose columns the keys are: the one that the file is named as, else the one with the most columns."""
    found = [keys for line in lines if (keys := jsonlines.keys_of(line))]
    if len(found) < _FITTING_SHARE * len(lines):
        if lines[0].startswith("["):
            return Unrecognised(path, "it is one JSON array, where a JSON object on each line is expected")
        return None
    names = set().union(*found)
    fitting = []
    for table in tables:
        columns, needed = set(table.column_names), {column.name for column in table.columns if column.required}
        is_whole = set(table.needed_names) <= names and (table is named or _is_most(list(names), table))
        is_enough = names <= columns and (table.is_own_format or table is named)
        rows = sum(needed <= keys for keys in found)
        if (
            (is_whole or is_enough)
            and rows >= _FITTING_SHARE * len(lines)
            and not (table.only_by_name and table is not named)
        ):
            fitting.append(table)
    if not fitting:
        return None
    return Recognised(
        path,
        best := max(fitting, key=lambda table: (table is named, len(names & set(table.column_names)))),
        _by_key(best),
    )


def _by_key(table: Table) -> Layout:
    return replace(headerless(len(table.columns), index=False), word="keys")


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
        if not text or (column.kind != "text" and is_missing(text)):
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
    if column.form == "iso8601_or_epoch":
        return bool(re.match(ISO_8601, text) or re.match(EPOCH_SECONDS, text))
    try:
        datetime.strptime(text, column.form)  # noqa: DTZ007  # only whether it can be read
    except ValueError:
        return False
    return True
