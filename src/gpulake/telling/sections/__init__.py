"""The sections of a report, found by listing this folder: every module here that defines SECTION is one.

A section lays out what `reading` has read for the terminal; pages are those of `gpulake.serve`. It computes nothing: a figure that
it lacks is a column of a gold table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from gpulake.reading.report import ClusterReport
from gpulake.reading.rows import Rows


@dataclass(frozen=True)
class Section:
    """One part of what is told of a cluster; sections follow each other by `place`.

    `lines` are at most COLUMNS wide, and none where there is nothing to tell. Rows of a published table that it `reads` stand
    in `cluster.further` under its name.
    """

    name: str
    place: int
    lines: Callable[[ClusterReport], Sequence[str]]
    reads: Rows[Any] | None = None  # of whatever its rows are: each section's own


@cache
def all_sections() -> tuple[Section, ...]:
    """Every section, in the terminal's order."""
    found = (import_module(f"{__name__}.{module.name}").SECTION for module in iter_modules(__path__))
    return tuple(sorted(found, key=lambda section: (section.place, section.name)))


def further_reads() -> dict[str, Rows[Any]]:
    """What sections read beside what every report holds, by section."""
    return {section.name: section.reads for section in all_sections() if section.reads}
