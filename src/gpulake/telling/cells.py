"""Text in the cells of a terminal: how many columns it takes there, cut, filled up and wrapped to columns.

Names come from deliveries: whatever they hold, a line is never wider than it says, and none steers the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import category, east_asian_width

ELLIPSIS = "…"
_MOST_MARKS = 3
"""Marks over one letter that are shown; a name may carry thousands."""
_MOST_READ = 20_000
"""Letters of a text that are looked at: more than a screen holds."""
_SELECTORS = dict.fromkeys(range(0xFE00, 0xFE10))
"""They ask for another picture of a letter, whose width no two terminals agree on."""
_GLUE = "\u00a0"
_UNIT = re.compile(r"(?<=\d) (?=%|GPU-h|USD)")
"""The blank of a figure, which stays on one line with its unit."""
_JAMO = range(0x1160, 0x1200)
"""Parts of a Korean syllable that stand on the part before."""


def visible(text: str, *, keep: str = "\n") -> str:
    """Control characters written out: what was delivered must not steer the terminal that shows it."""
    return "".join(
        c if c in keep or c.isprintable() or c == "\u00a0" else c.encode("unicode_escape").decode() for c in text
    )


def width(text: str) -> int:
    """How many columns a visible text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


@lru_cache(maxsize=4096)
def _width(letter: str) -> int:
    if category(letter) in {"Mn", "Me", "Cf"} or ord(letter) in _JAMO:
        return 0
    return 2 if east_asian_width(letter) in {"W", "F"} else 1


def shown(text: str) -> str:
    """A delivered text on one line, as it can be laid out: control characters written out, heaps of marks taken down."""
    text = visible(text[:_MOST_READ].translate(_SELECTORS), keep="")
    return text if text.isascii() else "".join(_without_heaps(text))


def _without_heaps(text: str) -> Iterator[str]:
    marks = 0
    for letter in text:
        marks = 0 if _width(letter) else marks + 1
        if marks <= _MOST_MARKS:
            yield letter


def cut(text: str, columns: int) -> str:
    """A delivered text in at most so many columns; what is cut off shows by an ellipsis."""
    text = shown(text[: columns * (1 + _MOST_MARKS) + _MOST_MARKS + 1] if len(text) > _MOST_READ else text)
    if width(text) <= columns:
        return text
    return _head(text, columns - 1) + ELLIPSIS if columns > 0 else ""


def _head(text: str, columns: int) -> str:
    """As many letters as fit."""
    for end, letter in enumerate(text):
        columns -= _width(letter)
        if columns < 0:
            return text[:end]
    return text


def filled(text: str, columns: int, *, right: bool = False) -> str:
    """A text of exactly so many columns: blanks after it, or before it."""
    text = cut(text, columns)
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def wrapped(text: str, columns: int, *, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most so many columns, each beginning with `first`, then `rest`; a word that is too long is broken."""
    lines: list[str] = []
    line, begins = first, True
    for word in _UNIT.sub(_GLUE, shown(text)).split(" "):
        left = word
        if left and not begins and width(line) + 1 + width(left) > columns:
            lines.append(line)
            line, begins = rest, True
        while begins and width(line) + width(left) > columns:
            head = _head(left, max(columns - width(line), 2))
            lines.append(line + head)
            line, left = rest, left[len(head) :]
        if left:
            line, begins = line + ("" if begins else " ") + left, False
    lines += [line] if line.strip() or not lines else []
    return [each.replace(_GLUE, " ") for each in lines]
