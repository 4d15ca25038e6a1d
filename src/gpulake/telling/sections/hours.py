"""Hours of the whole cluster and of its machines that stand out, one line per run of hours without a break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from textwrap import wrap
from zoneinfo import ZoneInfo

from gpulake.reading.report import ClusterReport
from gpulake.reading.rows import Rows
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import counted

MOST_RUNS = 6
"""Runs told one by one: the last ones."""

MOST_OF_NAME = 20
"""Letters of a machine's name."""


@dataclass(frozen=True)
class Run:
    """As much of a row of gold_anomaly_runs as is told."""

    machine_id: str | None
    dt: date
    start_at: datetime
    end_at: datetime
    hours: int
    strangest_hour_at: datetime
    anomaly_reason: str


def _lines(cluster: ClusterReport) -> list[str]:
    runs: Sequence[Run] = cluster.further.get("hours", ())
    if not runs:
        return []
    lines = [f"hours that stand out: {_count(cluster)}", RULE]
    for run in runs[-MOST_RUNS:]:
        who = _who(run) if len(_who(run)) <= MOST_OF_NAME else f"{_who(run)[: MOST_OF_NAME - 1]}…"
        lines.append(f"{who}, {_when(cluster, run)}, {counted(run.hours, 'hour')}")
        lines += wrap(
            _strangest(cluster, run), WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )
    if len(runs) > MOST_RUNS:
        lines.append(f"    and {len(runs) - MOST_RUNS:,} earlier runs")
    return lines


def _count(cluster: ClusterReport) -> str:
    """How many hours the shown detectors flag, and in how many runs."""
    hours, machine_hours = (
        each.flagged_rows if (each := cluster.shown_of(level)) else 0 for level in ("cluster_hour", "machine_hour")
    )
    found = [f"{hours:,} of the whole cluster"] if hours else []
    found += [f"{machine_hours:,} of machines"] if machine_hours else []
    return f"{', '.join(found)}, in {counted(len(cluster.further.get('hours', ())), 'run')}"


def _who(run: Run) -> str:
    return "the whole cluster" if run.machine_id is None else f"machine {run.machine_id}"


def _why(run: Run) -> str:
    """A machine's name stands before its reason: once is enough."""
    return run.anomaly_reason.removeprefix(f"{run.machine_id}: ")


def _strangest(cluster: ClusterReport, run: Run) -> str:
    """A long run's reason is that of one of its hours."""
    at = run.strangest_hour_at.replace(tzinfo=UTC).astimezone(ZoneInfo(cluster.time_zone))
    return f"at {at:%H:%M} {_why(run)}" if run.hours > 1 else _why(run)


def _when(cluster: ClusterReport, run: Run) -> str:
    """day 57 06:00 to 14:00, by the cluster's clock; the end of a day belongs to that day."""
    zone = ZoneInfo(cluster.time_zone)
    start, end = (at.replace(tzinfo=UTC).astimezone(zone) for at in (run.start_at, run.end_at))
    last_day = (end - timedelta(microseconds=1)).date()
    clock = f"{end:%H:%M}" if last_day == end.date() else "24:00"
    until = clock if last_day == run.dt else f"{cluster.day_label(last_day)} {clock}"
    return f"{cluster.day_label(run.dt)} {start:%H:%M} to {until}"


SECTION = Section(
    name="hours", place=42, lines=_lines,
    reads=Rows(Run, "gold_anomaly_runs", order_by=("start_at", "machine_id")),
)  # fmt: skip
