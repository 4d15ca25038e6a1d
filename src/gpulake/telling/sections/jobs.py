"""Jobs that stand out against their users' other jobs, those that held most first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from textwrap import wrap

from gpulake.reading.report import ClusterReport
from gpulake.reading.rows import Rows
from gpulake.telling.cells import wrapped
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import counted, gpu_hours

MOST_JOBS = 3
"""Jobs told one by one."""


@dataclass(frozen=True)
class Odd:
    """As much of a row of gold_job_anomalies as is told."""

    job_id: str
    dt: date
    user_id: str | None
    allocated_gpu_h: float | None
    anomaly_reason: str


def _lines(cluster: ClusterReport) -> list[str]:
    jobs: Sequence[Odd] = cluster.further.get("jobs", ())
    if not jobs:
        return []
    lines = [f"jobs that stand out: {_count(cluster)}", RULE]
    for job in jobs[:MOST_JOBS]:
        told = f"job {job.job_id}, {cluster.day_label(job.dt)}, user {_user(job)}"
        lines += wrapped(told, WIDTH, first=f"{_held(job)}   ", rest="    ")
        lines += wrap(
            job.anomaly_reason, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )
    more = _flagged(cluster) - MOST_JOBS
    return [*lines, *([f"    and {more:,} that held less"] if more > 0 else [])]


def _flagged(cluster: ClusterReport) -> int:
    shown = cluster.shown_of("job")
    return shown.flagged_rows if shown else 0


def _count(cluster: ClusterReport) -> str:
    shown = cluster.shown_of("job")
    return f"{_flagged(cluster):,} of {counted(shown.scored_rows if shown else 0, 'finished job')}"


def _held(job: Odd) -> str:
    return "—" if job.allocated_gpu_h is None else gpu_hours(job.allocated_gpu_h)


def _user(job: Odd) -> str:
    return job.user_id or "not recorded"


SECTION = Section(
    name="jobs", place=44, lines=_lines,
    reads=Rows(Odd, "gold_job_anomalies", order_by=("allocated_gpu_h desc nulls last", "job_id"),
               where="judgement = 'anomaly'", limit=MOST_JOBS),
)  # fmt: skip
