"""The command that begins: init."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(init)


def init(
    lake: Annotated[
        str | None, typer.Option("--lake", metavar="DIR", help="The lake's folder. [default: lake]")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="What your cluster is called. [default: site]")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Its time zone. [default: this machine's]")
    ] = None,
    slurm: Annotated[
        bool | None, typer.Option("--slurm/--no-slurm", help="Whether Slurm schedules its jobs. [default: no]")
    ] = None,
    via: Annotated[
        str | None,
        typer.Option("--via", metavar="COMMAND", help="Run Slurm's commands through it, as 'ssh login1'."),
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", metavar="URL", help="The Prometheus server of its GPUs.")
    ] = None,
    prices: Annotated[
        str | None,
        typer.Option(
            "--prices", metavar="FILE", help="Your prices; where there is no such file, an example is written."
        ),
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing.")] = False,
    as_json: edge.JsonOption = False,
) -> None:
    """Write gpulake.toml into this folder: asks on a terminal for what no option says, and overwrites nothing."""
    from gpulake import beginning

    asks = not defaults and not as_json and sys.stdin is not None and sys.stdin.isatty()
    if (Path.cwd() / "gpulake.toml").exists():
        asks = False  # it is refused: nobody shall answer first
    ask = _asked if asks else _default
    cluster = cluster or ask("What is your cluster called", "site", beginning.check_cluster)
    zone = zone or ask("Its time zone", beginning.local_zone(dict(os.environ)), beginning.check_zone_name)
    if slurm is None:
        slurm = via is not None or (asks and typer.confirm("Does Slurm schedule its jobs?", default=False, err=True))
        if slurm and via is None:
            via = ask(
                "How are Slurm's commands reached, as `ssh login1` (empty: they are here)", "", beginning.check_via
            )
    prometheus = prometheus or ask("The address of its Prometheus (empty: none)", "", beginning.check_address)
    prices = prices or ask("Your file of prices (empty: examples count)", "", lambda _name: None)
    begun = beginning.begin(
        Path.cwd(),
        beginning.Answers(
            lake=lake or "lake",
            cluster=cluster,
            zone=zone,
            has_slurm=slurm,
            via=via or None,
            prometheus_url=prometheus or None,
            prices=prices or None,
        ),
    )
    if as_json:
        edge.put_json(begun.as_json())
        return
    lines = [f"wrote {begun.settings}"]
    if begun.prices:
        lines.append(f"wrote {begun.prices}: example prices; replace them")
    edge.put("\n".join([*lines, "next:", *(f"  {step}" for step in begun.next_steps)]))


def _asked(question: str, default: str, check: Callable[[str], None]) -> str:
    """The answer to a question, which is asked again until it is one."""

    def read(text: str) -> str:
        try:
            check(text.strip())
        except UsageError as error:
            raise typer.BadParameter(f"{error.what} Do: {error.do}.") from error
        return text.strip()

    answer: str = typer.prompt(question, default=default, show_default=bool(default), value_proc=read, err=True)
    return answer


def _default(_question: str, default: str, _check: Callable[[str], None]) -> str:
    return default
