"""Commands that bring data: simulate, fetch."""

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
    app.command()(simulate)


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


def simulate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Whose format to write, as pai2020.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")],
    scale: Annotated[float, typer.Option(min=0, help="1 is the real trace's size.")] = 0.05,
    days: Annotated[int, typer.Option(min=1, help="How many days the trace lasts.")] = 62,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 42,
    faults: Annotated[bool, typer.Option("--faults", help="Break some machines, and say which in truth/.")] = False,
    many_faults: Annotated[
        bool, typer.Option("--many-faults", help="Two dozen faults of eight kinds instead, for back-tests.")
    ] = False,
    as_json: edge.JsonOption = False,
) -> None:
    """Write a trace of a simulated fleet, in a source's own format, with the truth beside it."""
    from dataclasses import asdict
    from importlib import import_module
    from importlib.util import find_spec

    from gpulake.sources import all_sources
    from gpulake.telling.text import text_table
    from gpulake.telling.words import counted

    known = [known.name for known in all_sources() if find_spec(f"gpulake.simulate.{known.name}")]
    if source not in known:
        raise UsageError(f"no simulator writes {source!r}.", do=f"choose from {', '.join(known)}")
    simulator = import_module(f"gpulake.simulate.{source}")
    try:
        with edge.Screen().closing() as screen, edge.writing_to(out):
            summary = simulator.simulate(
                out, scale=scale, days=days, seed=seed, faults=faults, many_faults=many_faults, progress=screen.step
            )
    except MemoryError as error:
        raise UsageError(
            "such a fleet does not fit into memory.", do="choose fewer --days or a smaller --scale"
        ) from error
    if as_json:
        edge.put_json({**asdict(summary), "error": None})
        return
    table = text_table(["table", "rows"], [[name, f"{rows:,}"] for name, rows in summary.rows.items()], right={1})
    told = (
        f"{counted(summary.days, 'day')} of {counted(summary.machines, 'machine')} with {counted(summary.gpus, 'GPU')}, "
        f"{counted(summary.faults, 'fault')}, the truth in {summary.truth}"
    )
    edge.put("\n".join([*table, told, f"next: gpulake refresh --data {out} --source {source}"]))
