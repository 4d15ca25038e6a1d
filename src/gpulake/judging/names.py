"""Names and texts: as a rule file misspells them, and as SQL quotes them."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from gpulake.errors import ContractError


def unknown_name(name: str, known: Collection[str], *, what: str, where: str) -> ContractError:
    """The error for a name that is not there, with its near misses."""
    near = get_close_matches(name, known, n=1)
    hint = f'write "{near[0]}"' if near else f"choose one of: {', '.join(sorted(known))}"
    return ContractError(f"there is no {what} {name!r}.", where=where, do=hint)


def quoted(name: str) -> str:
    """A name inside SQL."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """A text inside SQL."""
    return "'" + value.replace("'", "''") + "'"
