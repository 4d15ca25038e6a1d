"""Whose report it is: the finding, the cluster and its days, whose bytes these are."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport
from gpulake.telling.sections import Section
from gpulake.telling.words import counted, headline


def _lines(cluster: ClusterReport) -> list[str]:
    lines = [headline(cluster)]
    window = cluster.window
    if window is not None:
        lines.append(
            f"{cluster.day_name(window.first_day)} to {cluster.day_name(window.last_day)}, {cluster.time_zone} time"
        )
    if cluster.fleet is not None:
        lines.append(f"{counted(cluster.fleet.machines, 'machine')} with {counted(cluster.fleet.gpus, 'GPU')}")
    return [*lines, cluster.provenance]


SECTION = Section(name="title", place=0, lines=_lines)
