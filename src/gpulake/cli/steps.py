"""Commands that write the lake, in flow order: refresh = land, build, detect, publish."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder, or file, that was delivered.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Its format. [default: recognised from the files]")
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="NAME", help="Whose delivery it is. [default: the source's name]")
]
RehashOption = Annotated[bool, typer.Option("--rehash", help="Read files again that look unchanged.")]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Land once more, as the latest, what a later landing stands for.")
]
CorrectsOption = Annotated[
    bool,
    typer.Option(
        "--corrects", help="What it says of machines was always so; else a change holds from the cluster's now."
    ),
]
FullOption = Annotated[bool, typer.Option("--full", help="Rebuild every day, not only those touched.")]

FollowOption = Annotated[
    float | None,
    typer.Option(
        "--follow",
        metavar="SECONDS",
        min=0.1,
        help="Do so every so often, until told to end. Without --data: what streams land.",
    ),
]

InputOption = Annotated[
    Path | None, typer.Option("--input", metavar="FILE", help="Score the rows of this Parquet file instead.")
]
SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema", metavar="NAME", help="What they are: fleet_machine_hour, fleet_gpu_hour, fleet_jobs or series."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where their keys, scores and flags go, as Parquet.")
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="pai: machine-hours from utilisation alone. [default: all metrics]"),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    for command in (refresh, land, build, detect, publish, flow):
        app.command()(command)


def refresh(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The folder, or file, that was delivered.")
    ] = None,
    source: SourceOption = None,
    cluster: ClusterOption = None,
    lake: edge.LakeOption = None,
    dry_run: edge.DryRunOption = False,
    rehash: RehashOption = False,
    again: AgainOption = False,
    corrects: CorrectsOption = False,
    full: FullOption = False,
    follow: FollowOption = None,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Land what is new, build what it touches, detect, test and publish. Nothing new: nothing is done."""
    from gpulake import pipeline

    if follow is not None:
        if dry_run or rehash or again or corrects or full:
            raise UsageError(
                "--follow does what a plain refresh does, again and again.", do="leave the other options out"
            )
        _follow(lake, every_s=follow, data=data, source=source, cluster=cluster, as_json=as_json)
        return
    if data is None:
        raise UsageError("nothing was delivered.", where="--data", do="name a folder, or follow a stream: --follow 10")
    with edge.Screen().closing() as screen:
        result = pipeline.refresh(
            edge.config_of(lake),
            data=data,
            source=source,
            cluster=cluster,
            dry_run=dry_run,
            rehash=rehash,
            again=again,
            corrects=corrects,
            full=full,
            wait_s=wait_s,
            progress=screen.step,
        )
    edge.answer(result, as_json=as_json)


def _follow(
    lake: Path | None, *, every_s: float, data: Path | None, source: str | None, cluster: str | None, as_json: bool
) -> None:
    from gpulake.follow import follow
    from gpulake.telling.words import counted

    with edge.Screen().closing() as screen, edge.told_to_end() as ended:
        done = follow(
            edge.config_of(lake),
            every_s=every_s,
            data=data,
            source=source,
            cluster=cluster,
            stopping=ended,
            tell=screen.say,
        )
    if as_json:
        edge.put_json(done.as_json())
    else:
        slowest = "" if done.slowest_s is None else f", at most {done.slowest_s:.1f} s after it landed"
        edge.put(f"{counted(done.publications, 'publication')} in {counted(done.cycles, 'round')}{slowest}")


def land(
    data: DataOption,
    source: SourceOption = None,
    cluster: ClusterOption = None,
    lake: edge.LakeOption = None,
    rehash: RehashOption = False,
    again: AgainOption = False,
    corrects: CorrectsOption = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Land files: good rows as delivered, bad rows to quarantine. The same bytes land once."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        result = pipeline.land(
            edge.config_of(lake),
            data=data,
            source=source,
            cluster=cluster,
            rehash=rehash,
            again=again,
            corrects=corrects,
            wait_s=wait_s,
            progress=screen.step,
        )
    edge.answer(result, as_json=as_json)


def build(
    lake: edge.LakeOption = None,
    full: FullOption = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Build silver and gold for the days that pending landings touch."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        result = pipeline.build(edge.config_of(lake), full=full, wait_s=wait_s, progress=screen.step)
    edge.answer(result, as_json=as_json)


def detect(
    lake: edge.LakeOption = None,
    dry_run: edge.DryRunOption = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
    source: InputOption = None,
    schema: SchemaOption = None,
    out: OutOption = None,
    variant: VariantOption = None,
) -> None:
    """Score what is new of the newest build. With --input it scores a Parquet file, and needs no lake."""
    if source is None:
        for name, value in {"--schema": schema, "--out": out, "--variant": variant}.items():
            if value is not None:
                raise UsageError(
                    f"{name} says how a file is scored, and none is named.", where=name, do="add --input FILE"
                )
        from gpulake import pipeline

        with edge.Screen().closing() as screen:
            result = pipeline.detect(edge.config_of(lake), dry_run=dry_run, wait_s=wait_s, progress=screen.step)
        edge.answer(result, as_json=as_json)
        return
    from gpulake.detecting.files import SCHEMAS, score_file

    if lake is not None:
        raise UsageError("a file is scored without a lake.", where="--lake", do="leave it out, or --input")
    if schema is None:
        raise UsageError(
            "what the file's rows are is not said.", where="--schema", do=f"add one of {', '.join(SCHEMAS)}"
        )
    if out is None:
        raise UsageError("where the scores go is not said.", where="--out", do="name a Parquet file")
    edge.answer(score_file(source, schema=schema, out=out, variant=variant, dry_run=dry_run), as_json=as_json)


def publish(
    lake: edge.LakeOption = None,
    dry_run: edge.DryRunOption = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Test the newest build, and make it what people read if every test passes."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        result = pipeline.publish(edge.config_of(lake), dry_run=dry_run, wait_s=wait_s, progress=screen.step)
    edge.answer(result, as_json=as_json)


def flow(
    data: DataOption,
    source: SourceOption = None,
    cluster: ClusterOption = None,
    lake: edge.LakeOption = None,
    rehash: RehashOption = False,
    again: AgainOption = False,
    corrects: CorrectsOption = False,
    full: FullOption = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Refresh as a Prefect flow: a task per step, with retries and row counts; no server is needed."""
    if find_spec("prefect") is None:
        raise UsageError(
            "Prefect is not installed.", where="gpulake flow", do="install the extra: pip install 'gpulake[flow]'"
        )
    from gpulake import flows

    result = flows.refresh(
        edge.config_of(lake),
        data=data,
        source=source,
        cluster=cluster,
        rehash=rehash,
        again=again,
        corrects=corrects,
        full=full,
        wait_s=wait_s,
    )
    edge.answer(result, as_json=as_json)
