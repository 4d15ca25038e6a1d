"""Results of steps in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Result(Protocol):
    """What every step returns."""

    def as_json(self) -> dict[str, object]:
        """The result for machines, with `error` in it."""
        ...


def text_of(result: Result) -> str:
    """The facts of a result, one per line, nested ones indented; what is empty is left out."""
    return "\n".join(_lines(result.as_json(), indent=0))


def _lines(facts: Mapping[str, object], *, indent: int) -> list[str]:
    lines: list[str] = []
    for name, fact in facts.items():
        label = " " * indent + name.replace("_", " ")
        match fact:
            case None | "" | [] | {} | ():
                continue
            case Mapping():
                lines += [label, *_lines(fact, indent=indent + 2)]
            case str():
                lines.append(f"{label}: {fact}")
            case Sequence():
                lines.append(label)
                for part in fact:
                    if isinstance(part, Mapping):
                        lines.append(" " * (indent + 2) + ", ".join(f"{key} {value}" for key, value in part.items()))
                    else:
                        lines.append(" " * (indent + 2) + str(part))
            case bool():
                lines.append(f"{label}: {'yes' if fact else 'no'}")
            case int():
                lines.append(f"{label}: {fact:,}")
            case _:
                lines.append(f"{label}: {fact}")
    return lines
