"""Commands that write simulated data: simulate pai2020, simulate site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError

simulate = typer.Typer(help="Write a simulated fleet in a source's own format, with the truth beside it.")

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same bytes.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(simulate, name="simulate")


@simulate.command()
def pai2020(
    out: OutOption,
    scale: Annotated[float, typer.Option(min=0, help="1 is the real trace's size.")] = 0.05,
    days: Annotated[int, typer.Option(min=1, help="How many days the trace lasts.")] = 62,
    seed: SeedOption = 42,
    faults: Annotated[bool, typer.Option("--faults", help="Break some machines, and say which in truth/.")] = False,
    many_faults: Annotated[
        bool, typer.Option("--many-faults", help="Two dozen faults of eight kinds instead, for back-tests.")
    ] = False,
    gpu_metrics: Annotated[
        bool,
        typer.Option("--gpu-metrics", help="Add power, temperature, memory and errors of every GPU, as plain tables."),
    ] = False,
    as_json: edge.JsonOption = False,
) -> None:
    """Write a trace of a fleet like Alibaba's PAI cluster of 2020, as its publisher ships it."""
    from dataclasses import asdict

    from gpulake.simulate import pai2020 as simulator
    from gpulake.telling.words import counted

    with _writing(out, do="choose fewer --days or a smaller --scale") as screen:
        summary = simulator.simulate(
            out,
            scale=scale,
            days=days,
            seed=seed,
            faults=faults,
            many_faults=many_faults,
            gpu_metrics=gpu_metrics,
            progress=screen.step,
        )
    if as_json:
        edge.put_json({**asdict(summary), "error": None})
        return
    told = (
        f"{counted(summary.days, 'day')} of {counted(summary.machines, 'machine')} with {counted(summary.gpus, 'GPU')}, "
        f"{counted(summary.faults, 'fault')}, the truth in {summary.truth}"
    )
    whose = "--cluster" if gpu_metrics else "--source"
    _tell(summary.rows, told, f"next: gpulake refresh --data {out} {whose} pai2020")


@simulate.command()
def site(
    out: OutOption,
    nodes: Annotated[int, typer.Option(min=1, help="How many machines.")] = 4,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", min=1, help="How many GPUs each has.")] = 8,
    days: Annotated[int, typer.Option(min=1, help="How many days, from local midnight to local midnight.")] = 7,
    start: Annotated[str, typer.Option(metavar="DATE", help="The first day.")] = "2026-03-02",
    zone: Annotated[str, typer.Option(metavar="ZONE", help="The site's time zone.")] = "Europe/Berlin",
    seed: SeedOption = 42,
    faults: Annotated[
        str, typer.Option(metavar="LIST", help="What to break: all, or kinds with counts, as throttling,node_down:2.")
    ] = "",
    every: Annotated[int, typer.Option(metavar="SECONDS", help="Time between two samples.")] = 30,
    roads: Annotated[
        str, typer.Option("--as", metavar="LIST", help="Which of slurm, prometheus, kernel_log, plain to write.")
    ] = "slurm,prometheus,kernel_log,plain",
    as_json: edge.JsonOption = False,
) -> None:
    """Write a site of real dates as its scheduler, exporters and kernels tell it, and as plain tables."""
    from dataclasses import asdict

    from gpulake.simulate import site as simulator
    from gpulake.telling.words import counted

    try:
        first = date.fromisoformat(start)
    except ValueError as error:
        raise UsageError(f"{start!r} is no date.", do="give --start 2026-03-02") from error
    with _writing(out, do="choose fewer --days or --nodes, or a longer --every") as screen:
        summary = simulator.simulate(
            out,
            nodes=nodes,
            gpus_per_node=gpus_per_node,
            days=days,
            start=first,
            zone=zone,
            seed=seed,
            faults=faults,
            every_s=every,
            roads=[road.strip() for road in roads.split(",")],
            progress=screen.step,
        )
    if as_json:
        edge.put_json({**asdict(summary), "error": None})
        return
    told = (
        f"{counted(days, 'day')} of {counted(summary.machines, 'machine')} with {counted(summary.gpus, 'GPU')} in {zone}, "
        f"{counted(summary.jobs, 'job')}, {counted(summary.faults, 'fault')}, the truth in {summary.truth}"
    )
    road = "plain" if "plain_jobs" in summary.rows else roads.split(",")[0].strip()
    _tell(summary.rows, told, f"next: gpulake refresh --data {out / road}")


@contextmanager
def _writing(out: Path, *, do: str) -> Iterator[edge.Screen]:
    try:
        with edge.Screen().closing() as screen, edge.writing_to(out):
            yield screen
    except MemoryError as error:
        raise UsageError("such a fleet does not fit into memory.", do=do) from error


def _tell(rows: Mapping[str, int], told: str, after: str) -> None:
    from gpulake.telling.text import text_table

    table = text_table(["table", "rows"], [[name, f"{count:,}"] for name, count in rows.items()], right={1})
    edge.put("\n".join([*table, told, after]))
