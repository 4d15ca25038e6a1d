"""What needs someone: the open incidents, the most urgent first, each with its name and what to do."""

from __future__ import annotations

from textwrap import wrap

from gpulake.reading.report import ClusterReport, Need
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.mails.layout import Clock, beginning
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import counted

MOST_NEEDS = 3
"""Incidents told one by one; `gpulake alerts list` has them all."""

ID_LENGTH = 8
"""As much of a name as people type."""


def _lines(cluster: ClusterReport) -> list[str]:
    if not cluster.needs:
        return []
    lines = [f"what needs someone: {counted(len(cluster.needs), 'open incident')}", RULE]
    for need in cluster.needs[:MOST_NEEDS]:
        title = (
            f"{need.severity.ljust(6)}  {need.incident_id[:ID_LENGTH]}  {_title(need)}, since {_since(cluster, need)}"
        )
        lines += wrap(title, WIDTH, subsequent_indent=" " * 18, break_on_hyphens=False)
        if need.advice:
            lines += wrap(f"→ {need.advice}", WIDTH, initial_indent=" " * 18, subsequent_indent=" " * 20, max_lines=2,
                          placeholder=" …", break_on_hyphens=False)  # fmt: skip
    more = len(cluster.needs) - MOST_NEEDS
    rest = f"{more:,} more: gpulake alerts list. " if more > 0 else ""
    return [*lines, *wrap(f"{rest}Look at one: gpulake alerts show ID. Take it: gpulake alerts ack ID.", WIDTH)]


def _title(need: Need) -> str:
    return need.title + (f" (and {need.size - 1:,} more)" if need.size > 1 else "")


def _since(cluster: ClusterReport, need: Need) -> str:
    return beginning(need.since, Clock(cluster.time_zone, cluster.time_basis, has_weekdays=False))


SECTION = Section(name="needs someone", place=5, lines=_lines)
