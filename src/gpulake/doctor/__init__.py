"""What keeps a source from being collected, found before it is: the checks of each collector, by listing this folder.

Every module here that defines CHECK has the checks of one collector: whether it can be reached, whose clock it has, what it
shows, what it hides, and how new that is. They ask, and change nothing. `examining` asks them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gpulake.collecting import Asked
from gpulake.errors import GpulakeError


class State(StrEnum):
    """`warn` tells of figures that will be missing or doubtful, `fail` of what does not work at all."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Found:
    """What one check found, and what to do about it. `error` is what a failure ends the command with."""

    state: State
    what: str
    do: str = ""
    error: GpulakeError | None = None


@dataclass(frozen=True)
class Check:
    """The checks of one collector. `look` yields what it finds, and raises GpulakeError where it can ask no further."""

    collector: str
    look: Callable[[Asked], Iterator[Found]]


def ok(what: str) -> Found:
    """All is well with it."""
    return Found(State.OK, what)


def warn(what: str, *, do: str) -> Found:
    """Something will be missing."""
    return Found(State.WARN, what, do)


def fail(error: GpulakeError) -> Found:
    """It does not work."""
    where = f" ({error.where})" if error.where else ""
    return Found(State.FAIL, f"{error.what.removesuffix('.')}{where}", error.do, error)


@cache
def all_checks() -> dict[str, Check]:
    """The checks by collector."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = [module.CHECK for module in modules if hasattr(module, "CHECK")]
    return {check.collector: check for check in found}
