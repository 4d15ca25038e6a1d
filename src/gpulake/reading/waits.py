"""How long jobs waited: of all, by day, and by what they asked for or who asked.

A quantile of several days cannot be had from those of each: it is of one day, or of the whole window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

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
    def of_user(self) -> str:
        """The row of one user's jobs; one more parameter names the user."""
        return f"select * from {self.table} where {self.where} and grouped_by = 'user' and value = ?"

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


@dataclass(frozen=True)
class Queue:
    """The waits of a scope: of all jobs, or of one user's; by size, by model and by user; and by day of submission."""

    wait: Mapping[str, Any] | None
    is_day: bool
    sizes: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]
    users: Sequence[Mapping[str, Any]]
    users_all: int
    days: Sequence[Mapping[str, Any]]
    lacks: Mapping[str, str]


def read_queue(scope: Scope, *, user: str | None = None, most_users: int = 8) -> Queue | None:
    """The waits of a scope; of one `user` no other groups are told. None where the cluster has no job of that user."""
    waits = waits_of(scope)
    lacks = scope.not_recorded("gold_jobs")

    if user is not None:
        wait = scope.row(waits.of_user, *waits.params, user)
        return Queue(wait, waits.is_day, (), (), (wait,), 1, (), {}) if wait else None

    def by(what: str, order: str) -> list[dict[str, Any]]:
        return scope.rows(f"{waits.by} order by {order}", *waits.params, what)

    users = by("user", "jobs_submitted desc, value")
    longest = "km_p90_s desc nulls first, value"
    return Queue(
        wait=scope.row(waits.all, *waits.params),
        is_day=waits.is_day,
        sizes=by("size_class", longest),
        models=() if "gpu_model" in lacks else by("gpu_model", longest),
        users=() if "user_id" in lacks else users[:most_users],
        users_all=len(users),
        days=scope.rows(f"{DAYS} order by dt", scope.cluster.cluster_id, scope.since, scope.until),
        lacks={name: why for name, why in lacks.items() if name in {"gpu_model", "user_id"}},
    )
