"""The collectors, found by listing this folder: every module here that defines COLLECTOR is one.

A collector asks something that runs (a scheduler, a server, a driver) and hands out what it answered as files that a
source reads. Where they are kept, that they land once, and what is asked next time is `gpulake.collecting.running`'s work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules

from gpulake.errors import UsageError

Tell = Callable[[str], None]
"""Told now and then: one sentence for the person who waits."""

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1."""

Cursor = Mapping[str, object]
"""What a collector notes of a cluster so that the next run asks only for what is new: any JSON object."""


@dataclass(frozen=True)
class Option:
    """One option of a collector's command, `--name METAVAR`. One that is left out is `default`.

    `read` makes a value of its text and raises ValueError, whose words are told, for one that is none. None: a flag.
    """

    name: str
    help: str
    metavar: str = "TEXT"
    read: Callable[[str], object] | None = str
    default: object = None
    is_required: bool = False

    @property
    def key(self) -> str:
        """Its name as Python writes it; a word of Python's own, as `for`, gets a _ behind it."""
        key = self.name.replace("-", "_")
        return f"{key}_" if iskeyword(key) else key


@dataclass(frozen=True)
class Asked:
    """What one run is asked for. Times are UTC without a zone; `since` and `until` are as the call says them, if it does.

    `cursor` is what the last run noted, empty at the first one. `options` has a value for each of the collector's options.
    """

    cluster: str
    now: datetime
    cursor: Cursor
    options: Mapping[str, object]
    environ: Mapping[str, str] = field(repr=False)
    since: datetime | None = None
    until: datetime | None = None
    again: bool = False
    """What was fetched before is fetched once more."""
    tell: Tell = lambda _sentence: None
    progress: Progress = lambda _what, _share: None


@dataclass(frozen=True)
class Fetched:
    """One file that is whole, and the cursor that holds once it is kept.

    `content` None: there was nothing, and only the cursor moves on. The name is the same whenever the same is asked for.
    `rows` is about how many rows it holds: landing counts them.
    """

    cursor: Cursor
    file_name: str = ""
    content: bytes | None = None
    rows: int = 0
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Collector:
    """How one kind of thing is asked.

    `collect` yields each file as soon as it is whole, and raises GpulakeError where it can go no further: what it has
    yielded lands all the same. `plan` says in sentences what `collect` would ask, and asks nothing.
    """

    name: str
    source: str
    """The source that reads its files."""
    help: str
    collect: Callable[[Asked], Iterator[Fetched]]
    plan: Callable[[Asked], Sequence[str]]
    options: tuple[Option, ...] = ()
    has_past: bool = True
    """Whether it can be asked for what was: --since and --until. Else it sees the present only."""
    is_endless: bool = False
    """It goes on until it is stopped: each file lands as it comes."""


@cache
def all_collectors() -> tuple[Collector, ...]:
    """Every known collector, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = (module.COLLECTOR for module in modules if hasattr(module, "COLLECTOR"))
    return tuple(sorted(found, key=lambda collector: collector.name))


def settled(collector: Collector, typed: Mapping[str, object], settings: Mapping[str, str]) -> dict[str, object]:
    """What was typed, and where a call says nothing what `gpulake.toml` says of the collector. Raises UsageError.

    `cluster` is no option of a collector's own: it is left to the caller.
    """
    where = f"gpulake.toml [collect.{collector.name}]"
    known = {option.name: option for option in collector.options}
    texts = dict(typed)
    for name, text in settings.items():
        if name == "cluster":
            continue
        option = known.get(name)
        if option is None or option.read is None:
            names = ", ".join(sorted(["cluster", *(key for key, one in known.items() if one.read)]))
            raise UsageError(f"{name} is no setting of this collector.", where=where, do=f"use: {names}")
        if texts.get(option.key) is None:
            texts[option.key] = text
    return texts


def collector_named(name: str) -> Collector:
    """The collector of a table `[collect.<name>]`. Raises UsageError where there is none."""
    found = {collector.name: collector for collector in all_collectors()}
    if name not in found:
        raise UsageError(
            f"there is no collector {name!r}.", where=f"gpulake.toml [collect.{name}]", do=f"use: {', '.join(found)}"
        )
    return found[name]


def read_options(collector: Collector, texts: Mapping[str, object]) -> dict[str, object]:
    """The values of a collector's options from what was typed. Raises UsageError."""
    values: dict[str, object] = {}
    for option in collector.options:
        typed = texts.get(option.key)
        if option.read is None:
            values[option.key] = bool(typed)
        elif typed is None:
            if option.is_required:
                raise UsageError(f"--{option.name} is missing.", do=f"gpulake collect {collector.name} --help")
            values[option.key] = option.default
        else:
            try:
                values[option.key] = option.read(str(typed))
            except ValueError as error:
                raise UsageError(
                    f"{str(typed)!r} is no {option.metavar}: {error}.", where=f"--{option.name}"
                ) from error
    return values
