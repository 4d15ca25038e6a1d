"""Pages as one HTML file, by the code that serves them: it opens from a disk, a mail or an archive, and fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

from jinja2 import Environment

from gpulake.charts import page_style
from gpulake.config import Config
from gpulake.lake import Reader, open_publication
from gpulake.reading.models import Column
from gpulake.reading.scope import Cluster, clusters_of
from gpulake.serve.addresses import page_at, parted
from gpulake.serve.linking import within
from gpulake.serve.look import Look
from gpulake.serve.markup import rendered, templates
from gpulake.serve.page import Page, filled
from gpulake.serve.pages.definition import models
from gpulake.whole import write_whole

_DEFINITION = "/definition/"


@dataclass(frozen=True)
class _View:
    """One page of the file: `name` is its place there."""

    name: str
    page: Page
    look: Look

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """What another address must say to mean this page."""
        return _key(self.look.path, self.look.asked, self.look.clusters)


@dataclass(frozen=True)
class Meaning:
    """What a figure of the file means: a column of a gold table; none of its own where it is summed over the days of a range."""

    anchor: str
    table: str
    name: str
    column: Column | None


def write_pages(config: Config, *, addresses: Sequence[str], file: Path) -> None:
    """Write the pages at these addresses of `gpulake serve` into one file, in their order.

    Links to a page of the file lead to it, others become text; what can only be asked of a server is left out. Who opens the
    file meanwhile sees the old one, or the new one whole. Raises
    UsageError for an address that has no page, NotFoundError for a thing that is not there, LakeError where nothing can
    be read.
    """
    layout = templates(instead="alone")
    with open_publication(config.lake) as reader:
        clusters = clusters_of(reader)
        views = [_view(i, address, reader, clusters, config.lake) for i, address in enumerate(addresses, start=1)]
        text = _written(views, reader, layout)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text.encode())


def _view(number: int, address: str, reader: Reader, clusters: tuple[Cluster, ...], lake: Path) -> _View:
    path, asked, _ = parted(address)
    page, named = page_at(path)
    return _View(f"p{number}", page, Look(reader, clusters=clusters, path=path, asked=asked, named=named, lake=lake))


def _written(views: Sequence[_View], reader: Reader, layout: Environment) -> str:
    places = {view.key: view.name for view in views}
    wanted: dict[str, Meaning] = {}
    parts: dict[str, str] = {}
    for view in views:

        def leads(address: str, view: _View = view) -> str | None:
            return _place(address, view, places, wanted)

        markup = rendered(view.page, filled=filled(view.page, view.look), look=view.look, by=layout)
        parts[view.name] = within(markup, name=view.name, leads=leads)
    style = page_style() + files("gpulake.serve").joinpath("static", "style.css").read_text(encoding="utf-8")
    return layout.get_template("file.html").render(
        style=style,
        reader=reader,
        parts=parts,
        contents=_contents(views),
        meanings=sorted(wanted.values(), key=lambda each: (each.table, each.name)),
    )


def _contents(views: Sequence[_View]) -> Mapping[str, list[_View]]:
    """The pages by their cluster."""
    found: dict[str, list[_View]] = {}
    for view in views:
        found.setdefault(view.look.cluster.cluster_id if view.page.needs_cluster else "", []).append(view)
    return found


def _place(
    address: str,
    view: _View,
    places: Mapping[tuple[str, frozenset[tuple[str, str]]], str],
    wanted: dict[str, Meaning],
) -> str | None:
    path, asked, fragment = parted(address)
    if path.startswith(_DEFINITION):
        return f"#{_meaning(path, wanted).anchor}"
    name = view.name if not path and not asked else places.get(_key(path, asked, view.look.clusters))
    if name is None:
        return None
    return f"#{name}-{fragment}" if fragment else f"#{name}"


def _meaning(path: str, wanted: dict[str, Meaning]) -> Meaning:
    if path not in wanted:
        table, _, column = path.removeprefix(_DEFINITION).partition("/")
        model = models().get(unquote(table))
        name = unquote(column)
        found = model.columns.get(name) if model else None
        wanted[path] = Meaning(f"means-{len(wanted) + 1}", table, name, found)
    return wanted[path]


def _key(path: str, asked: Mapping[str, str], clusters: Sequence[Cluster]) -> tuple[str, frozenset[tuple[str, str]]]:
    first = {"cluster": clusters[0].cluster_id} if clusters else {}
    return unquote(path), frozenset({**first, **asked}.items())
