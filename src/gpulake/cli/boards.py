"""The commands for Superset: superset up."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpulake.cli import edge


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(
        help="Show the publication in a Superset of its own, with dashboards from files.", no_args_is_help=True
    )
    group.command()(up)
    group.callback()(lambda: None)  # else the group's only command would take its name
    app.add_typer(group, name="superset")


def up(
    lake: edge.LakeOption = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="On which port of 127.0.0.1.")] = 8088,
) -> None:
    """Install Superset the first time, lay out its dashboards, and serve them on this machine until Ctrl-C."""
    from gpulake import superset
    from gpulake.dbt import warehouse
    from gpulake.reading.models import read_models

    with edge.Screen().closing() as screen:
        superset.up(
            edge.config_of(lake),
            port=port,
            environ=os.environ,
            models=read_models(warehouse.project()),
            say=screen.say,
        )
