"""Commands that ask what runs: collect, with one command per collector."""

from __future__ import annotations

import os
from collections.abc import Iterator
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulake.cli import edge
from gpulake.collecting import Collector, Option, all_collectors, collector_named, read_options, settled
from gpulake.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gpulake.collecting.running import Collected

ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="NAME", help="Whose it is. [default: the source's name]")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="From when on, as 2026-11-30, 2026-11-30T06:00Z, or 7d for seven days ago. [default: where the last run ended]",
    ),
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Until when. [default: now]")]
AgainOption = Annotated[bool, typer.Option("--again", help="Fetch once more what was fetched before.")]
KeepOption = Annotated[bool, typer.Option("--keep", help="Keep the files that have landed.")]
RefreshOption = Annotated[bool, typer.Option("--refresh", help="Build, judge and publish as well.")]

_SHARED: dict[str, tuple[Any, object]] = {
    "cluster": (ClusterOption, None),
    "lake": (edge.LakeOption, None),
    "keep": (KeepOption, False),
    "refresh": (RefreshOption, False),
    "dry_run": (edge.DryRunOption, False),
    "wait_s": (edge.WaitOption, 0.0),
    "as_json": (edge.JsonOption, False),
}
_OF_THE_PAST: dict[str, tuple[Any, object]] = {
    "since": (SinceOption, None),
    "until": (UntilOption, None),
    "again": (AgainOption, False),
}

collect = typer.Typer(
    help="Ask what runs for what is new, and land it. A run goes on where the last one ended.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add a command per collector."""
    for collector in all_collectors():
        collect.command(collector.name, help=collector.help)(_command(collector))
    app.add_typer(collect, name="collect")


def _command(collector: Collector) -> Any:  # Typer reads its signature, which is made here
    """A function with the options of a collector."""
    options: dict[str, tuple[Any, object]] = {option.key: _typed(option) for option in collector.options}
    options |= (_OF_THE_PAST if collector.has_past else {}) | _SHARED

    def command(**typed: Any) -> None:  # what people type
        _run(collector, **typed)

    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in options.items()
        ]
    )
    command.__annotations__ = {name: kind for name, (kind, _) in options.items()}
    return command


def _typed(option: Option) -> tuple[Any, object]:
    if option.read is None:
        return Annotated[bool, typer.Option(f"--{option.name}", help=option.help)], False
    told = f"{option.help} [required]" if option.is_required else option.help
    return Annotated[str | None, typer.Option(f"--{option.name}", metavar=option.metavar, help=told)], None


def _run(
    collector: Collector,
    *,
    cluster: str | None,
    lake: Path | None,
    keep: bool,
    refresh: bool,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    since: str | None = None,
    until: str | None = None,
    again: bool = False,
    **typed: Any,  # what the collector's own options hold
) -> None:
    from gpulake import clock
    from gpulake.collecting import running

    now = clock.now()
    config = edge.config_of(lake)
    for name in config.collect:
        collector_named(name)  # a slip in the settings is told before it leaves something out
    settings = config.collect.get(collector.name, {})
    with edge.Screen().closing() as screen:
        result = running.collect(
            config,
            collector,
            options=read_options(collector, settled(collector, typed, settings)),
            environ=os.environ,
            cluster=cluster or settings.get("cluster"),
            since=_moment(since, "--since", now),
            until=_moment(until, "--until", now),
            again=again,
            keep=keep,
            refresh=refresh,
            dry_run=dry_run,
            wait_s=wait_s,
            tell=screen.say,
            progress=screen.step,
        )
    if as_json:
        edge.put_json(result.as_json())
    else:
        edge.put("\n".join(_lines(result)))
    if result.error is not None:
        if not as_json:
            edge.tell_error(result.error)
        raise typer.Exit(result.error.exit_code)


def _moment(text: str | None, where: str, now: datetime) -> datetime | None:
    from gpulake.collecting.periods import moment

    if text is None:
        return None
    try:
        return moment(text, now=now)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time.", where=where, do=str(error)) from error


def _lines(result: Collected) -> Iterator[str]:
    from gpulake.cli.words import text_of
    from gpulake.telling.words import counted

    if result.dry_run:
        yield from result.plan or ("nothing would be asked",)
        return
    span = (
        f", {result.since:%Y-%m-%d %H:%M} to {result.until:%Y-%m-%d %H:%M} UTC" if result.since and result.until else ""
    )
    what = (
        f"{counted(result.rows, 'row')} in {counted(result.deliveries, 'file')}" if result.deliveries else "nothing new"
    )
    yield f"{result.collector}: {what}{span}"
    if result.land:
        of_it = [landing for landing in result.land.landings if landing.source == result.source]
        kept = sum(landing.rows_kept or 0 for landing in of_it if landing.status == "landed")
        refused = sum(landing.rows_refused or 0 for landing in of_it if landing.status == "landed")
        yield f"landed {counted(kept, 'row')}" + (f", refused {refused:,} (gpulake quarantine)" if refused else "")
    if result.refused_folder:
        yield f"files that could not be read are kept in {result.refused_folder}"
    if result.refresh:
        yield text_of(result.refresh)
    elif result.deliveries:
        yield "next: gpulake build, or collect with --refresh"
