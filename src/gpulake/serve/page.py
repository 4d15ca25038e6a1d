"""What a page is, and more of one: each in a file of its own, in `serve/pages` and `serve/parts`, found by folder."""

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


@dataclass(frozen=True)
class Part:
    """More of a page that stands elsewhere: a template of its own, in the place that the page has for it.

    `of` is that page's path. `fill` is given the same as the page's, and has None where there is nothing to tell; its names are
    others than the page's. It may look at a thing that is not there: then the page says so, and the part has None.
    """

    of: str
    template: str
    fill: Callable[[Look], Filled | None]
    place: int = 50


def filled(page: Page, look: Look) -> Filled:
    """What a page and its parts show; `further` are the templates of those that have something to tell. Raises as the page's `fill`."""
    shown = dict(page.fill(look))
    told = [(part.template, more) for part in all_parts() if part.of == page.path and (more := part.fill(look))]
    for _, more in told:
        assert not set(more) & set(shown), "a part's names are its own"
        shown |= more
    return {**shown, "further": [template for template, _ in told]}


@cache
def all_parts() -> tuple[Part, ...]:
    """Every part, in the order in which those of a page follow each other."""
    from gpulake.serve import parts

    found = []
    for module in sorted(each.name for each in iter_modules(parts.__path__)):
        loaded = import_module(f"{parts.__name__}.{module}")
        found += [value for value in vars(loaded).values() if isinstance(value, Part)]
    return tuple(sorted(found, key=lambda part: (part.of, part.place, part.template)))


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
