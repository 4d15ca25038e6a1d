"""Kinds of terminal reports, found by listing this folder: every module here that defines KIND is one.

A kind reads with `reading`, begins with a sentence, and lays the rest out; it computes nothing and asks for nothing by itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from urllib.parse import quote, urlencode

from gpulake.reading.scope import Scope
from gpulake.telling.cells import width
from gpulake.telling.figures import text_of, unit_of
from gpulake.telling.lines import COLUMNS, Line, Note

_INDENT = "    "


@dataclass(frozen=True)
class Teller:
    """Whom a report is told of, and how its reader goes on: `lake` is what --lake was given."""

    scope: Scope
    lake: str | None = None

    def text(self, column: str, value: object, *, with_unit: bool = True) -> str:
        """A figure as the pages write it, with its unit; a dash where it is not known."""
        text = text_of(column, value, self.scope.cluster)
        unit = unit_of(column)
        return f"{text} {unit.words}" if with_unit and value is not None and unit and unit.words else text

    def command(self, *words: str, options: Sequence[tuple[str, str]] = (), keeps_range: bool = False) -> str | None:
        """A command to copy, on the same lake and cluster, on several lines where it is long; None where a name is too long."""
        more = [*options, *([("lake", self.lake)] if self.lake else [])]
        if words[0] == "report":
            more += [("cluster", self.scope.cluster.cluster_id)] if len(self.scope.clusters) > 1 else []
            for name in ("since", "until") if keeps_range else ():
                more += [(name, self.scope.asked[name])] if self.scope.asked.get(name) else []
        typed = [
            f"--{name} {_typed(value)}" if not value.startswith("-") else f"--{name}={_typed(value)}"
            for name, value in more
        ]
        first, *rest = words
        if any(word.startswith("-") for word in rest):  # a name, but it looks like an option
            pieces = [first, *typed, "--", *map(_typed, rest)]
        else:
            pieces = [*map(_typed, words), *typed]
        lines, line = [], f"{_INDENT}gpulake"
        for piece in pieces:
            if width(line) + 1 + width(piece) > COLUMNS - 2:
                lines.append(f"{line} \\")
                line = f"{_INDENT}  {piece}"
            else:
                line += f" {piece}"
        lines.append(line)
        return "\n".join(lines) if all(width(each) <= COLUMNS for each in lines) else None

    def address(self, path: str) -> str:
        """Where the pages show the same."""
        asked = {"cluster": self.scope.cluster.cluster_id}
        asked |= {name: self.scope.asked[name] for name in ("since", "until") if self.scope.asked.get(name)}
        return f"{path}?{urlencode(asked)}"


def _typed(word: str) -> str:
    """A word as a shell reads it, whatever it holds."""
    if len(word) > COLUMNS:
        return word  # too long for a line: the command is left out
    if word.isprintable():
        return shlex.quote(word)
    inside = "".join(
        c if c.isprintable() and c not in "'\\" else "".join(f"\\x{b:02x}" for b in c.encode(errors="replace"))
        for c in word
    )
    return f"$'{inside}'"


@dataclass(frozen=True)
class Kind:
    """One report. `takes` names the thing that it is of, ID or NAME; none is of a whole cluster.

    `read` gives what is told as a frozen dataclass, or None where the cluster has no such thing: `near` then names similar ones.
    `sentence` comes first, `lines` follow it, and `notes` end it. `paths` are the addresses of the pages that show the same. `takes_user`: whether it can be told
    of one user, whose name `read` then gets; `is_ranged`: whether days can be chosen.
    """

    name: str
    answers: str
    read: Callable[[Scope, str | None], Any]  # each kind's own
    sentence: Callable[[Any, Teller], str]
    lines: Callable[[Any, Teller], Sequence[Line]]
    notes: Callable[[Any, Teller], Sequence[Note]]
    paths: Callable[[str], Sequence[str]]
    title: str = ""
    takes: str = ""
    near: Callable[[Scope, str], Sequence[str]] | None = None
    takes_user: bool = False
    is_ranged: bool = True


def words() -> tuple[str, ...]:
    """The word of every kind, which is the name of its file."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def kind_of(word: str) -> Kind:
    """The kind of this word, one of `words`; no other is loaded."""
    kind: Kind = import_module(f"{__name__}.{word}").KIND
    assert kind.name == word
    return kind


def page_of(kind: str, name: str) -> str:
    """The address of the page of one thing."""
    return f"/{kind}/{quote(name, safe='')}"
