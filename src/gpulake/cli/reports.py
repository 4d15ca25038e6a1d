"""The command that tells the publication to a person: report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gpulake.cli import edge


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(report)


def report(
    lake: edge.LakeOption = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also draw the days.")] = None,
    waterfall: Annotated[
        Path | None, typer.Option("--waterfall", metavar="FILE", help="Also draw where the GPU-hours went.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write the fleet and the anomalies of every cluster as one page, by the code of gpulake serve.",
        ),
    ] = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Tell what the publication says: what landed, utilisation, where the GPU-hours went, flagged days; and draw it."""
    from dataclasses import asdict

    from gpulake import incidents
    from gpulake.lake import open_operations, open_publication
    from gpulake.reading import report as reports
    from gpulake.telling import terminal
    from gpulake.telling.sections import further_reads

    config = edge.config_of(lake)
    with open_publication(config.lake) as publication, open_operations(config.lake) as operations:
        needs = incidents.listed(operations, config=config).needs()
        found = reports.read(publication, further=further_reads(), needs=needs)
    if png is not None:
        from gpulake.telling.drawings import write_days

        with edge.writing_to(png):
            write_days(found, png)
    if waterfall is not None:
        from gpulake.telling.drawings import write_waterfall

        with edge.writing_to(waterfall):
            write_waterfall(found, waterfall)
    if html is not None:
        from gpulake.serve.alone import front_addresses, write_pages

        with edge.writing_to(html):
            write_pages(config, addresses=front_addresses([each.cluster_id for each in found.clusters]), file=html)
    if as_json:
        edge.put_json({**asdict(found), "error": None})
    else:
        edge.put(terminal.render(found, lake=min(str(config.lake), os.path.relpath(config.lake), key=len)))
        drawn = {"the days": png, "where the GPU-hours went": waterfall, "fleet and anomalies as one page": html}
        written = [f"  {file}  {what}" for what, file in drawn.items() if file is not None]
        if written:
            edge.put("\n".join(["", "written", *written]))
