"""Commands for whoever tends the lake: compact, dbt."""

from __future__ import annotations

from typing import Annotated

import typer

from gpulake.cli import edge


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    app.command()(compact)
    app.command(context_settings={"ignore_unknown_options": True})(dbt)


def compact(lake: edge.LakeOption = None, wait_s: edge.WaitOption = 0.0, as_json: edge.JsonOption = False) -> None:
    """Merge small files and drop versions past their retention; kept publications stay readable."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        result = pipeline.compact(edge.config_of(lake), wait_s=wait_s, progress=screen.step)
    edge.answer(result, as_json=as_json)


def dbt(
    args: Annotated[list[str], typer.Argument(metavar="-- ARGS", help="As: gpulake dbt -- ls --select silver_jobs")],
    lake: edge.LakeOption = None,
    wait_s: edge.WaitOption = 0.0,
) -> None:
    """Run dbt by hand on this lake, under its write lock."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        code = pipeline.run_dbt(edge.config_of(lake), args, wait_s=wait_s, progress=screen.step)
    raise typer.Exit(code)
