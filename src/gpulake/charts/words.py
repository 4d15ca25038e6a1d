"""Text that others wrote, made fit to be shown: names of users, jobs and machines may hold anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MOST_LETTERS = 60
"""Letters of a name in a picture; the rest is cut."""

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"

# Marks that turn the direction of what follows, line breaks, control characters, and halves of a surrogate pair.
_UNSHOWN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]+"
)


def shown(text: str, *, most: int = MOST_LETTERS) -> str:
    """The text in one line of at most `most` letters; one written right to left cannot turn its neighbours around."""
    line = _UNSHOWN.sub(" ", text[: 4 * most]).strip()
    line = line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"
    if any(unicodedata.bidirectional(letter) in {"R", "AL", "AN"} for letter in line):
        return f"{FIRST_STRONG_ISOLATE}{line}{POP_ISOLATE}"
    return line or "(no name)"


def shown_apart(texts: Iterable[str], *, most: int = MOST_LETTERS) -> dict[str, str]:
    """What is shown of each text; two that would look the same are numbered, so that they stay two."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        if text in found:
            continue
        name, number = shown(text, most=most), 1
        while name in taken:
            number += 1
            name = f"{shown(text, most=most - 6)} ({number})"
        found[text] = name
        taken.add(name)
    return found
