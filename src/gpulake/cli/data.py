"""Commands that bring data: fetch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError


class Origin(StrEnum):
    """Where a source can be fetched from."""

    PUBLISHER = "publisher"
    KAGGLE = "kaggle"


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    app.command()(fetch)


def fetch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What to download, as pai2020.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to download into.")],
    origin: Annotated[Origin, typer.Option("--from", help="Who to ask.")] = Origin.PUBLISHER,
    as_json: edge.JsonOption = False,
) -> None:
    """Download a source's published files, with resume and checksums."""
    from gpulake import fetch as fetching
    from gpulake.sources import all_sources

    known = {known.name: known for known in all_sources()}
    if source not in known:
        raise UsageError(f"there is no source {source!r}.", do=f"choose from {', '.join(known)}")
    with edge.Screen().closing() as screen:
        if origin is Origin.KAGGLE:
            fetched = fetching.fetch_from_kaggle(known[source], into=out, tell=screen.say)
        else:
            fetched = fetching.fetch(known[source], into=out, progress=screen.amount, tell=screen.say)
    if as_json:
        edge.put_json(
            {
                "source": source,
                "files": [
                    {"table": file.name, "path": str(file.path), "bytes": file.bytes, "fresh": file.fresh}
                    for file in fetched
                ],
                "error": None,
            }
        )
    else:
        edge.put(f"{len(fetched)} files in {out}\nnext: gpulake refresh --data {out} --source {source}")
