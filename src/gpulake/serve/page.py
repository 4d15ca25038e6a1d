"""What a page is; one per file in `serve/pages`, found by folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gpulake.serve.look import Look

Filled = Mapping[str, object]
"""What a template is given. Listings among the values can be exported by their names."""


@dataclass(frozen=True)
class Page:
    """One kind of view: its address, and how it is filled from what a visitor looks at.

    `path` may name a thing: `/jobs/{job_id:path}`. `answers` is the question that the page is for. `place` orders the menu, which
    leaves out pages without one. `needs_cluster`: whether it is of one cluster; `has_range`: and of days that a visitor chooses.
    What `fill` calls `look` stands for the visitor's own. `fill` raises UsageError for
    an address that it cannot serve, and NotFoundError for a thing that is not there.
    """

    path: str
    title: str
    answers: str
    template: str
    fill: Callable[[Look], Filled]
    place: int | None = None
    needs_cluster: bool = True
    has_range: bool = True


@cache
def all_pages() -> tuple[Page, ...]:
    """Every page, in the menu's order."""
    from gpulake.serve import pages

    found = []
    for module in sorted(each.name for each in iter_modules(pages.__path__)):
        loaded = import_module(f"{pages.__name__}.{module}")
        found += [value for value in vars(loaded).values() if isinstance(value, Page)]
    return tuple(sorted(found, key=lambda page: (page.place is None, page.place or 0, page.path)))


def menu() -> tuple[Page, ...]:
    """The pages that the menu leads to."""
    return tuple(page for page in all_pages() if page.place is not None)
