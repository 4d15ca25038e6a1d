"""How long jobs waited: of all, by day, and by what they asked for or who asked.

A quantile of several days cannot be had from those of each: it is of one day, or of the whole window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gpulake.reading.scope import Scope

FIGURES = (
    "jobs_submitted", "jobs_never_started", "wait_p50_s", "km_p50_s", "wait_p90_s", "km_p90_s", "wait_p99_s", "km_p99_s",
)  # fmt: skip
DAYS = "select * from gold_queue_wait_daily where cluster_id = ? and grouped_by = 'all' and dt between ? and ?"
"""By day of submission. Parameters: the cluster, the first and the last day."""


@dataclass(frozen=True)
class Waits:
    """Where the waits of a scope stand: the table, and what chooses its rows there."""

    table: str
    where: str
    params: tuple[str | date, ...]
    is_day: bool

    @property
    def all(self) -> str:
        """The row of all jobs."""
        return f"select * from {self.table} where {self.where} and grouped_by = 'all'"

    @property
    def by(self) -> str:
        """A row per group; one more parameter says by what: size_class, gpu_model, user."""
        return f"select value, {', '.join(FIGURES)} from {self.table} where {self.where} and grouped_by = ?"


def waits_of(scope: Scope) -> Waits:
    """Those of the scope's day, where it is one, else of the whole window."""
    cluster = scope.cluster.cluster_id
    if scope.since == scope.until:
        return Waits("gold_queue_wait_daily", "cluster_id = ? and dt = ?", (cluster, scope.since), is_day=True)
    return Waits("gold_queue_wait", "cluster_id = ?", (cluster,), is_day=False)
