"""The command for browsers: serve."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpulake.cli import edge


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(serve)


def serve(
    lake: edge.LakeOption = None,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Where to listen; any other than this machine's own needs a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On which port; 0 is any free one.")] = 8042,
) -> None:
    """Show the publication's pages to a browser, until Ctrl-C. [env: GPULAKE_TOKEN, a token for other machines]"""
    from gpulake import serve as web

    config = edge.config_of(lake)
    web.run(
        config,
        host=host,
        port=port,
        token=os.environ.get("GPULAKE_TOKEN") or None,
        told=lambda address: edge.put(f"open {address} (Ctrl-C ends it)"),
    )
