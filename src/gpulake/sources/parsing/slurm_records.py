"""Records of Slurm's parsable texts: a header of names, then fields between delimiters, neither quoted nor escaped.

A field may hold a line break or the delimiter itself. A record is put together again from its lines, and where it has too
many delimiters the fields of free text take them, if there is one way only in which every other field is what it should be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_LONGEST_RECORD = 1 << 20
_MOST_EXTRA = 12
"""A record with more delimiters than this beyond its own is refused."""

_MOST_WAYS = 5_000
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Kind:
    """One kind of such a text.

    `header` gives the delimiter of a line that is its header, else nothing. `names` maps what stands there (in small letters)
    to the columns that are taken. `checks` are what the field of a column must match in full; `free` are the columns that hold
    anything people write, the likeliest to hold a delimiter first. Both name fields as the header does, in small letters.
    `starts` names the column whose field a record cannot be without.
    """

    header: Callable[[str], str]
    names: Mapping[str, str]
    checks: Mapping[str, re.Pattern[str]]
    free: tuple[str, ...]
    starts: str
    lacks: Callable[[tuple[str, ...]], str] = lambda _names: ""
    """Why no record of a header can be taken, if none can."""


@dataclass(frozen=True)
class _Layout:
    kind: Kind
    line: str
    delimiter: str
    fields: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.fields)

    @property
    def taken(self) -> dict[int, str]:
        """Which field is which column; of a name that stands twice the first."""
        places: dict[str, int] = {}
        for at, name in enumerate(self.fields):
            if name in self.kind.names:
                places.setdefault(self.kind.names[name], at)
        return {at: column for column, at in places.items()}

    def is_field(self, at: int, text: str) -> bool:
        check = self.kind.checks.get(self.fields[at])
        if check is None:
            return True
        text = text.strip()
        return bool(check.fullmatch(text)) or (text == "" and self.fields[at] != self.kind.starts)


def is_one(head: bytes, kind: Kind) -> bool:
    """Whether the header of such a text stands in the first bytes of a file, behind warnings."""
    return any(kind.header(_clean(line)) for line in head.decode("utf-8", "replace").split("\n")[:200])


def records(blocks: Iterable[bytes], kind: Kind) -> Iterator[pl.DataFrame]:
    """The records as texts by column, bare, with source_row, reason and raw_text. Bytes that are no UTF-8 are replaced.

    The last record waits for what may follow, and would be a frame of its own: where it is in order it joins the one before.
    """
    import polars as pl

    held: pl.DataFrame | None = None
    for frame, is_last in _frames(blocks, kind):
        if held is not None:
            if is_last and frame["reason"].null_count() == frame.height and held["reason"].null_count() == held.height:
                frame = pl.concat([held, frame])  # noqa: PLW2901
            else:
                yield held
        held = frame
    if held is not None:
        yield held


def _frames(blocks: Iterable[bytes], kind: Kind) -> Iterator[tuple[pl.DataFrame, bool]]:
    """The records by block, and those that waited until the end, which are told as the last."""
    layout: _Layout | None = None
    waiting: list[tuple[int, str]] = []
    row = 0
    for block in blocks:
        if layout is not None and (quick := _at_once(block, layout, waiting, row)) is not None:
            frame, waiting, lines_read = quick
            row += lines_read
            yield frame, False
            continue
        if layout is None and (begun := _begun(block, kind)) is not None:
            begun_layout, begins, rest = begun
            if (quick := _at_once(rest, begun_layout, [], row + begins)) is not None:
                layout = begun_layout
                frame, waiting, lines_read = quick
                row += begins + lines_read
                yield frame, False
                continue
        lines = block.decode("utf-8", "replace").replace("\0", "\ufffd").split("\n")
        if lines[-1] == "":
            lines.pop()
        if layout is None:
            layout, begins = _header_of(lines, kind)
            rest = "\n".join(lines[begins:]).encode()
            if layout is not None and (quick := _at_once(rest, layout, [], begins)) is not None:
                frame, waiting, _ = quick
                row += len(lines)
                yield frame, False
                continue
        else:
            begins = 0
        numbered = [(row + at + 1, _clean(lines[at])) for at in range(begins, len(lines))]
        row += len(lines)
        if layout is not None:
            frame, waiting = _taken_apart(waiting + numbered, layout)
            yield frame, False
    if layout is not None and waiting:
        yield _frame(layout, [], list(_put_together(waiting, layout))), True


def _clean(line: str) -> str:
    return line.rstrip("\r").removeprefix("\ufeff")


def _header_of(lines: list[str], kind: Kind) -> tuple[_Layout | None, int]:
    """The layout that a header says, and how many lines stand before the first record."""
    for at, line in enumerate(map(_clean, lines)):
        if delimiter := kind.header(line):
            fields = tuple(name.strip().lower() for name in line.split(delimiter))
            return _Layout(kind, line, delimiter, fields), at + 1
    return None, len(lines)


def _begun(block: bytes, kind: Kind) -> tuple[_Layout, int, bytes] | None:
    """The layout that a block's first lines say, how many lines stand before the first record, and the block from there on."""
    head = block[:_HEAD_BYTES]
    layout, begins = _header_of(head[: head.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")[:-1], kind)
    if layout is None:
        return None
    at = 0
    for _ in range(begins):
        at = block.index(b"\n", at) + 1
    return layout, begins, block[at:]


def _at_once(
    block: bytes, layout: _Layout, waiting: list[tuple[int, str]], row: int
) -> tuple[pl.DataFrame, list[tuple[int, str]], int] | None:
    """The records of a block in which every line is one, at full speed; the last waits, since it may go on. Else None."""
    import polars as pl

    delimiter = layout.delimiter.encode()
    lines = _count_of(block, b"\n") + (not block.endswith(b"\n"))
    is_plain = len(waiting) < 2 and len(delimiter) == 1 and not any(byte in block for byte in (b"\r", b"\0"))
    if not is_plain or lines < 2 or layout.kind.lacks(layout.fields):
        return None
    cut = block.rstrip(b"\n").rfind(b"\n") + 1
    head = b"".join(line.encode() + b"\n" for _, line in waiting) + block[:cut]
    # None has more fields, or reading fails; so none has fewer. What a line has that waits says nothing of the others.
    if _count_of(head, delimiter) != (lines - 1 + len(waiting)) * (layout.width - 1):
        return None
    start = layout.fields.index(layout.kind.starts)
    places = sorted({*layout.taken, start})
    try:
        tail = block[cut:].decode().removesuffix("\n")
        found = pl.read_csv(
            head,
            separator=layout.delimiter,
            has_header=False,
            schema={f"field_{at}": pl.String() for at in range(layout.width)},
            columns=places,
            quote_char=None,
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    is_start = found[f"field_{start}"].str.contains(f"^(?:{layout.kind.checks[layout.kind.starts].pattern})$")
    is_padded = _is_padded(head, delimiter)
    first = waiting[0][0] if waiting else row + 1
    # A line that waits stands just before the block, unless blank ones lie between.
    if found.height != lines - 1 + len(waiting) or not is_start.fill_null(value=False).all():
        return None
    if waiting and first != row:
        return None
    frame = found.select(
        pl.Series("source_row", range(first, first + found.height), dtype=pl.Int64),
        pl.lit(None, dtype=pl.String).alias("reason"),
        pl.lit(None, dtype=pl.String).alias("raw_text"),
        **{name: _bare(f"field_{at}", is_padded=is_padded).fill_null("") for at, name in layout.taken.items()},
    )
    return frame, [(row + lines, tail)], lines


def _bare(field: str, *, is_padded: bool) -> pl.Expr:
    import polars as pl

    return pl.col(field).str.strip_chars() if is_padded else pl.col(field)


def _is_padded(block: bytes, delimiter: bytes) -> bool:
    """Whether a field may begin or end with a blank: to look at the bytes costs a quarter of stripping all texts."""
    import numpy as np

    found = np.frombuffer(block, dtype=np.uint8)
    is_end = (found == delimiter[0]) | (found == ord("\n"))
    # Blanks of ASCII, and whatever may be part of another one.
    is_blank = (found <= ord(" ")) & (found != ord("\n")) | (found >= 0x80)
    beside = (is_end[:-1] & is_blank[1:]) | (is_blank[:-1] & is_end[1:])
    return bool(beside.any() or is_blank[:1].any() or is_blank[-1:].any())


def _count_of(block: bytes, byte: bytes) -> int:
    """How often a byte occurs: many times as fast as bytes count it."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == byte[0]))


def _taken_apart(lines: list[tuple[int, str]], layout: _Layout) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """The records of some lines, and the lines that begin one which may go on."""
    import polars as pl

    frame = pl.DataFrame(lines, schema={"source_row": pl.Int64, "raw_text": pl.String}, orient="row")
    text = pl.col("raw_text")
    frame = frame.filter((text != layout.line) & (text.str.strip_chars() != ""))
    if frame.height == 0:
        return _frame(layout, [], []), []
    pieces = text.str.split(layout.delimiter)
    is_whole = text.str.count_matches(layout.delimiter, literal=True) == layout.width - 1
    for at, name in enumerate(layout.fields):
        if name == layout.kind.starts:
            is_whole &= pieces.list.get(at, null_on_oob=True).str.contains(f"^(?:{layout.kind.checks[name].pattern})$")
    frame = frame.with_columns(is_whole=is_whole.fill_null(value=False))
    # A whole line may go on in the next one, if its last field does.
    is_plain = pl.col("is_whole") & pl.col("is_whole").shift(-1, fill_value=False)
    frame = frame.with_columns(is_plain=is_plain)
    begins = frame["is_whole"].arg_true()
    last = int(begins[-1]) if len(begins) else 0
    tail = frame[last:].select("source_row", "raw_text").rows()
    if sum(len(line) for _, line in tail) > _LONGEST_RECORD:
        last, tail = frame.height, []
    head = frame[:last]
    plain = head.filter(pl.col("is_plain")).select("source_row", fields=pieces)
    # A record ends where a whole one stands after it: what follows that is no part of the broken one before.
    stretches = (
        head.with_columns(stretch=pl.col("is_plain").cum_sum())
        .filter(~pl.col("is_plain"))
        .group_by("stretch", maintain_order=True)
        .agg("source_row", "raw_text")
    )
    put_together = [
        record
        for numbers, texts in stretches.select("source_row", "raw_text").iter_rows()
        for record in _put_together(list(zip(numbers, texts, strict=True)), layout)
    ]
    return _frame(layout, [plain], put_together), tail


@dataclass(frozen=True)
class _Record:
    source_row: int
    raw_text: str
    fields: list[str] | None
    reason: str | None = None


def _put_together(lines: list[tuple[int, str]], layout: _Layout) -> Iterator[_Record]:
    """Records of lines of which some are parts of one."""
    begun: list[tuple[int, str]] = []
    for number, line in lines:
        if begun and (_completes(begun, line, layout) or (not _begins(line, layout) and _may_go_on(begun, layout))):
            begun.append((number, line))
            continue
        if begun:
            yield _whole(begun, layout)
        begun = [(number, line)]
    if begun:
        yield _whole(begun, layout)


def _begins(line: str, layout: _Layout) -> bool:
    """Whether a line is the beginning of a record: its fields are what they should be, but for the last, which may be cut."""
    pieces = line.split(layout.delimiter)
    if len(pieces) == 1:
        return False
    if layout.fields[0] == layout.kind.starts and layout.is_field(0, pieces[0]) and 2 * len(pieces) > layout.width:
        return True  # what people write goes on with a number and half a record nowhere; a damaged record does
    if len(pieces) > layout.width:
        return _spread(pieces, layout) is not None
    whole = pieces if len(pieces) == layout.width else pieces[:-1]
    is_told = any(piece.strip() and layout.fields[at] in layout.kind.checks for at, piece in enumerate(whole))
    return is_told and all(layout.is_field(at, piece) for at, piece in enumerate(whole))


def _completes(begun: list[tuple[int, str]], line: str, layout: _Layout) -> bool:
    """Whether a line makes a whole record of what has begun, each field of it being what it should be."""
    found = sum(part.count(layout.delimiter) for _, part in begun)
    added = line.count(layout.delimiter)
    if found >= layout.width - 1 or found + added != layout.width - 1:
        return False
    fields = "\n".join([*(part for _, part in begun), line]).split(layout.delimiter)
    return all(layout.is_field(at, field) for at, field in enumerate(fields))


def _may_go_on(begun: list[tuple[int, str]], layout: _Layout) -> bool:
    size = sum(len(line) for _, line in begun)
    found = sum(line.count(layout.delimiter) for _, line in begun)
    if size > _LONGEST_RECORD or len(begun) > 10_000:
        return False
    return found < layout.width - 1 or layout.fields[-1] in layout.kind.free


def _whole(lines: list[tuple[int, str]], layout: _Layout) -> _Record:
    number, text = lines[0][0], "\n".join(line for _, line in lines)
    pieces = text.split(layout.delimiter)
    if len(pieces) < layout.width:
        return _Record(number, text, None, f"{len(pieces)} fields where {layout.width} are expected")
    if len(pieces) == layout.width + 1 and not pieces[-1].strip():
        pieces.pop()  # a delimiter that ends the line, in a file whose header has none
    if len(pieces) > layout.width:
        spread = _spread(pieces, layout)
        if spread is None:
            why = f"{len(pieces)} fields where {layout.width} are expected: it cannot be told which holds the delimiter"
            return _Record(number, text, None, why)
        pieces = spread
    at = layout.fields.index(layout.kind.starts)
    if not layout.is_field(at, pieces[at]):
        return _Record(number, text, None, f"{layout.kind.starts} is none: '{pieces[at][:80]}'")
    return _Record(number, text, pieces)


def _spread(pieces: list[str], layout: _Layout) -> list[str] | None:
    """The fields, where some of free text hold delimiters; None where no way of it fits, or ways that tell different things."""
    extra = len(pieces) - layout.width
    free = [layout.fields.index(name) for name in layout.kind.free if name in layout.fields]
    if extra > _MOST_EXTRA or not free:
        return None
    told = [at for at, _ in layout.taken.items() if layout.fields[at] not in layout.kind.free]
    fitting: list[list[str]] = []
    for tried, ways in enumerate(combinations_with_replacement(free, extra)):
        if tried > _MOST_WAYS:
            return None
        fields, at = list[str](), 0
        for place in range(layout.width):
            more = ways.count(place)
            fields.append(layout.delimiter.join(pieces[at : at + 1 + more]))
            at += 1 + more
        if all(layout.is_field(place, field) for place, field in enumerate(fields)):
            fitting.append(fields)
    if len({tuple(fields[at] for at in told) for fields in fitting}) != 1:
        return None
    return fitting[0]


def _frame(layout: _Layout, plain: list[pl.DataFrame], put_together: list[_Record]) -> pl.DataFrame:
    import polars as pl

    reason = layout.kind.lacks(layout.fields)
    whole = pl.DataFrame(
        {
            "source_row": pl.Series([each.source_row for each in put_together], dtype=pl.Int64),
            "fields": pl.Series([each.fields for each in put_together], dtype=pl.List(pl.String)),
            "reason": pl.Series([each.reason for each in put_together], dtype=pl.String),
            "raw_text": pl.Series(
                [each.raw_text if each.reason or reason else None for each in put_together], dtype=pl.String
            ),
        }
    )
    empty = [frame.with_columns(reason=pl.lit(None, pl.String), raw_text=pl.lit(None, pl.String)) for frame in plain]
    frame = pl.concat([*empty, whole]).sort("source_row")
    columns = {
        name: pl.col("fields").list.get(at, null_on_oob=True).str.strip_chars() for at, name in layout.taken.items()
    }
    if reason:
        raw = pl.coalesce("raw_text", pl.col("fields").list.join(layout.delimiter))
        frame = frame.with_columns(reason=pl.coalesce("reason", pl.lit(reason)), raw_text=raw)
    return frame.select("source_row", "reason", "raw_text", **columns)
