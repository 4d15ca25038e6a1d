"""Lines of a terminal report: pieces of text with a meaning each, laid out in COLUMNS; what colour a meaning has is ink's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading.scope import Cluster
from gpulake.telling.cells import cut, filled, shown, width, wrapped
from gpulake.telling.figures import label_of, text_of, unit_of

COLUMNS = 80
LABEL = 12
"""Columns of the name of a meter or a fact."""
BAR = 36
"""Columns of a meter's bar."""
GLYPHS = {
    "active": "█", "failed": "▓", "idle_held": "▒", "unknown": "░", "unallocated": "·", "down": "×", "total": "█",
    "anomaly": "▲",
}  # fmt: skip
"""By what a part of a bar means, how it looks without a colour."""


@dataclass(frozen=True)
class Span:
    """A piece of a line. `means`: the name of a colour, or strong, or soft."""

    text: str
    means: str = ""


Line = tuple[Span, ...]


def line(*pieces: Span | str) -> Line:
    """A line of pieces; what does not fit is cut."""
    left, kept = COLUMNS, []
    for piece in (each if isinstance(each, Span) else Span(each) for each in pieces):
        text = cut(piece.text, left)
        left -= width(text)
        kept.append(Span(text, piece.means))
    return tuple(kept)


def text_lines(text: str, *, first: str = "", rest: str = "", means: str = "") -> list[Line]:
    """A text in lines of its own."""
    return [line(Span(each, means)) for each in wrapped(text, COLUMNS, first=first, rest=rest)]


def heading(text: str, beside: str = "") -> list[Line]:
    """What the lines after it are about, underlined; a word on the right of it."""
    left = cut(text, COLUMNS)
    beside = cut(beside, max(0, COLUMNS - width(left) - 2))
    blanks = " " * (COLUMNS - width(left) - width(beside)) if beside else ""
    return [line(Span(left, "strong"), Span(blanks + beside, "soft")), line(Span("─" * COLUMNS, "soft"))]


@dataclass(frozen=True)
class Part:
    """A part of a bar: its meaning, and how much it is."""

    means: str
    amount: float | None


def bar(parts: Sequence[Part], *, of: float = 1.0, columns: int = BAR) -> list[Span]:
    """A bar of exactly so many columns, which stand for `of`; its parts end where their sums do, to half a column."""
    spans, ends_at, so_far = [], 0, 0.0
    for part in parts:
        so_far += max(float(part.amount or 0.0), 0.0)
        end = min(columns, int(so_far / of * columns + 0.5)) if of else 0
        spans.append(Span(GLYPHS[part.means] * (end - ends_at), part.means))
        ends_at = end
    return [span for span in (*spans, Span(" " * (columns - ends_at))) if span.text]


def meter(label: str, parts: Sequence[Part], *, figure: str, of: float = 1.0, note: str = "") -> list[Line]:
    """A bar with its name, its figure and a few words; words that do not fit stand below."""
    head = [Span(f"{filled(label, LABEL)} "), Span("[", "soft"), *bar(parts, of=of), Span("]", "soft")]
    left = COLUMNS - LABEL - 1 - BAR - 2 - 10 - 2
    value = Span(f" {filled(figure, 9, right=True)}", "strong")
    if width(note) <= left:
        return [line(*head, value, Span(f"  {note}" if note else "", "soft"))]
    return [line(*head, value), *text_lines(note, first=" " * (LABEL + 2), rest=" " * (LABEL + 2), means="soft")]


def legend(parts: Sequence[tuple[str, str, str]]) -> list[Line]:
    """What the parts of a bar mean: (meaning, words, figure) each."""
    lines: list[Line] = []
    row: list[Span] = []
    taken = 0
    start = LABEL + 2
    for means, words, figure in parts:
        text = f" {words} {figure}"
        if row and start + taken + 3 + 1 + width(text) > COLUMNS:
            lines.append(line(" " * start, *row))
            row, taken = [], 0
        if row:
            row.append(Span("   "))
            taken += 3
        row += [Span(GLYPHS[means], means), Span(text)]
        taken += 1 + width(text)
    return [*lines, line(" " * start, *row)] if row else lines


def facts(pairs: Sequence[tuple[str, str]]) -> list[Line]:
    """Names with their values, two on a line where both fit in half of it."""
    half = COLUMNS // 2
    lines: list[Line] = []
    waits: tuple[str, str] | None = None
    for label, value in ((label, shown(value)) for label, value in pairs if value):
        fits = LABEL + 1 + width(value) <= half - 2
        if waits and fits:
            lines.append(line(*_fact(*waits, columns=half - LABEL - 1), *_fact(label, value)))
            waits = None
        else:
            if waits:
                lines.append(line(*_fact(*waits)))
                waits = None
            if fits:
                waits = (label, value)
            else:
                lines.append(line(*_fact(label, value)))
    return [*lines, line(*_fact(*waits))] if waits else lines


def _fact(label: str, value: str, columns: int = 0) -> list[Span]:
    return [Span(f"{filled(label, LABEL)} ", "soft"), Span(filled(value, columns) if columns else value)]


@dataclass(frozen=True)
class Col:
    """A column of a table: the name of a gold column, words for its heading, and what a bar of it means, if it has one."""

    name: str
    words: str = ""
    bar: str = ""


_GAP = "  "
_BAR = 8
_WHOLE_NAME = 24
"""Columns that a text keeps while a column can go instead: a name that is cut cannot be copied."""
_LEAST = 8
"""Columns that it keeps at the last."""
_HEAD_LINES = 2
_FEWEST = 3
"""Columns that stay, whatever the names."""


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Col],
    *,
    cluster: Cluster,
    lacks: Mapping[str, str] | Sequence[str] = (),
    otherwise: str = "none",
) -> list[Line]:
    """Rows under their headings. Long texts are cut until the table fits, then the last columns go; a number is never cut.

    `lacks`: columns that the source cannot give, left out. `otherwise` is said where there is no row.
    """
    if not rows:
        return text_lines(otherwise, means="soft")
    kept = [column for column in columns if column.name not in lacks]
    widths = _widths(rows, kept, cluster, least=_WHOLE_NAME)
    while _total(widths, kept) > COLUMNS and len(kept) > _FEWEST:
        kept = kept[:-1]
        widths = _widths(rows, kept, cluster, least=_WHOLE_NAME)
    if _total(widths, kept) > COLUMNS:
        widths = _widths(rows, kept, cluster, least=_LEAST)
    return [*_head(kept, widths, rows), *_body(rows, kept, widths, cluster)]


def _is_number(rows: Sequence[Mapping[str, Any]], column: Col) -> bool:
    unit = unit_of(column.name)
    if unit is not None:
        return unit.is_number
    values = [row[column.name] for row in rows if row[column.name] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _widths(rows: Sequence[Mapping[str, Any]], columns: Sequence[Col], cluster: Cluster, *, least: int) -> list[int]:
    """How wide each column is: as its widest cell, long texts less, and its heading more, as room allows."""
    widths = []
    for column in columns:
        words, unit = _heading(column)
        cells = [width(shown(text_of(column.name, row[column.name], cluster))) for row in rows]
        widths.append(max([*cells, width(unit), *(width(word) for word in words.split())]))
    texts = [place for place, column in enumerate(columns) if not _is_number(rows, column)]
    while texts and _total(widths, columns) > COLUMNS and max(widths[place] for place in texts) > least:
        widest = max(texts, key=lambda place: widths[place])
        widths[widest] -= min(widths[widest] - least, _total(widths, columns) - COLUMNS)
    for place, column in enumerate(columns):
        words, _ = _heading(column)
        while len(wrapped(words, widths[place])) > _HEAD_LINES and _total(widths, columns) < COLUMNS:
            widths[place] += 1
    for place, column in enumerate(columns):
        words, _ = _heading(column)
        room = COLUMNS - _total(widths, columns)
        if width(words) > widths[place] and width(words) - widths[place] <= min(room, 3):
            widths[place] = width(words)
    return widths


def _heading(column: Col) -> tuple[str, str]:
    unit = unit_of(column.name)
    return column.words or label_of(column.name), unit.words if unit else ""


def _total(widths: Sequence[int], columns: Sequence[Col]) -> int:
    bars = sum(len(_GAP) + _BAR for column in columns if column.bar)
    return sum(widths) + len(_GAP) * (len(widths) - 1) + bars


def _head(columns: Sequence[Col], widths: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    cells = []
    for column, columns_wide in zip(columns, widths, strict=True):
        words, unit = _heading(column)
        cells.append([*wrapped(words, columns_wide), *([unit] if unit else [])])
    height = max(map(len, cells))
    lines = []
    for level in range(height):
        pieces = []
        for column, parts, columns_wide in zip(columns, cells, widths, strict=True):
            place = level - (height - len(parts))
            text = parts[place] if place >= 0 else ""
            pieces.append(filled(text, columns_wide, right=_is_number(rows, column)))
            pieces += [" " * _BAR] if column.bar else []
        lines.append(line(Span(_GAP.join(pieces).rstrip(), "soft")))
    return lines


def _body(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Col], widths: Sequence[int], cluster: Cluster
) -> Iterator[Line]:
    largest = {
        column.name: max((float(row[column.name]) for row in rows if row[column.name]), default=0.0)
        for column in columns
        if column.bar
    }
    for row in rows:
        pieces: list[Span] = []
        for column, columns_wide in zip(columns, widths, strict=True):
            value = row[column.name]
            text = text_of(column.name, value, cluster)
            pieces += [Span(_GAP)] if pieces else []
            pieces.append(Span(filled(text, columns_wide, right=_is_number(rows, column))))
            if column.bar:
                pieces += [Span(_GAP), *bar([Part(column.bar, value)], of=largest[column.name], columns=_BAR)]
        yield line(*pieces)


Note = tuple[str, str | None]
"""A sentence, and a command to copy."""


def notes(told: Sequence[Note]) -> list[Line]:
    """Sentences, each with its command below it where there is one."""
    lines: list[Line] = []
    for sentence, command in told:
        lines += text_lines(sentence, first="* ", rest="  ") if sentence else []
        lines += [line(Span(each, "strong")) for each in (command or "").splitlines()]
    return lines
