"""Sentences with holes: `"{user_id} held {idle_gpu_h:,.0f} GPU-hours"`. Names and number formats only, nothing that calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from string import Formatter

from gpulake.errors import ContractError
from gpulake.judging.names import unknown_name

UNKNOWN = "unknown"
_TAME = re.compile(r"[\w.:@/+-]*(?: [\w.:@/+-]+)*")
_FORMAT = re.compile(r",?(\.\d)?[f%]|,?d|")


@dataclass(frozen=True)
class Template:
    """A sentence in parts: words, and the names of values with the format of each."""

    written: str
    parts: tuple[tuple[str, str | None, str], ...]

    @property
    def fields(self) -> frozenset[str]:
        """The values that it needs."""
        return frozenset(name for _, name, _ in self.parts if name is not None)

    def filled(self, values: Mapping[str, object], *, day: Callable[[date], str] = str) -> str:
        """The sentence. What is null reads "unknown"; a day is written as its cluster's people see it."""
        return "".join(
            words + ("" if name is None else _shown(values.get(name), spec, day)) for words, name, spec in self.parts
        )

    def to_copy(self, values: Mapping[str, object]) -> str:
        """The sentence, with commands that people copy into a shell: a text that could end a quote there is not put in."""
        tame = {
            name: f"<{name}>" if isinstance(value, str) and not _TAME.fullmatch(value) else value
            for name, value in values.items()
        }
        return self.filled(tame)


def parse(written: str, *, known: Collection[str], numbers: Collection[str], where: str) -> Template:
    """Read a sentence. Raises ContractError for a hole that is not closed, not known, or formats a text as a number."""
    try:
        parts = tuple(Formatter().parse(written))
    except ValueError as error:
        raise ContractError(
            f"{written!r} is no template: {error}.", where=where, do="close each {, and write {{ for a brace"
        ) from error
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or conversion:
            raise ContractError(
                f"{{{name}}} is no name of a value.", where=where, do="write {column}, or {column:.1f} for a number"
            )
        if name not in known:
            raise unknown_name(name, known, what="value", where=where)
        if not _FORMAT.fullmatch(spec or ""):
            raise ContractError(f"{spec!r} is no format.", where=where, do="use one as .0f, ,.1f, d or .0%, or none")
        if spec and name not in numbers:
            raise ContractError(f"{{{name}}} is no number.", where=where, do=f"write {{{name}}} without a format")
    return Template(written, tuple((words, name, spec or "") for words, name, spec, _ in parts))


def _shown(value: object, spec: str, day: Callable[[date], str]) -> str:
    match value:
        case None:
            return UNKNOWN
        case datetime():
            return f"{day(value.date())} {value:%H:%M}"
        case date():
            return day(value)
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _shown(float(value), spec, day)
        case int() | float():
            return (
                format(int(value) if spec.endswith("d") else value, spec)
                if spec
                else f"{value:,.4g}"
                if isinstance(value, float)
                else f"{value:,}"
            )
        case _:
            return str(value)
