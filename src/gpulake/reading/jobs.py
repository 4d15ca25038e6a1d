"""What is read of jobs: a list of those of a range, and of one job its row, days, costs, attempts and verdict.

A job belongs to the day on which it was submitted. All but the list are asked for with the cluster and the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading.scope import Scope

LISTED = (
    "job_id", "user_id", "job_status", "gpu_request_count", "allocated_gpu_h", "idle_held_gpu_h", "efficiency_ratio",
    "wait_s", "run_s", "cost_usd", "submitted_at", "gpu_model", "size_class",
)  # fmt: skip
"""Columns of a list of jobs."""

MOST_ATTEMPTS = 200
"""Attempts of a job that are read one by one."""

_JOB = "select * from gold_jobs where cluster_id = ? and job_id = ?"
_USER = "select user_id from gold_job_efficiency_daily where cluster_id = ? and job_id = ? limit 1"
_VERDICT = "select judgement, anomaly_reason from gold_job_anomalies where cluster_id = ? and job_id = ?"
_OF_USER = " and user_id = ?"
"""Says nothing about a job of this user but where it lies: `gold_jobs` stands in the order of users."""
DAYS = "select * exclude (cluster_id, job_id) from gold_job_efficiency_daily where cluster_id = ? and job_id = ?"
COSTS = """
    select dt, pool, allocated_gpu_h, usd_per_gpu_h, cost_usd, price_label, price_reason from gold_cost_daily
    where cluster_id = ? and job_id = ?
"""
ATTEMPTS = """
    select
        task_id,
        attempt_id,
        machine_id,
        instance_status,
        status_source,
        started_at,
        ended_at,
        run_s
    from silver_instances
    where cluster_id = ? and job_id = ?
"""
WAITS_LIKE = """
    select grouped_by, value, jobs_submitted, jobs_never_started, km_p50_s, km_p90_s from gold_queue_wait
    where cluster_id = ? and (
        grouped_by = 'all'
        or (grouped_by = 'size_class' and value = ?)
        or (grouped_by = 'gpu_model' and value = ?)
        or (grouped_by = 'user' and value = ?)
    )
"""
"""How long jobs like one wait. Parameters: the cluster, and the job's size class, GPU model and user."""
FREE_THEN = """
    select pool, capacity_gpu_h, unallocated_gpu_h from gold_capacity_hourly
    where cluster_id = ? and pool = ? and hour_start_at <= ? and hour_start_at > ?::timestamp - interval 1 hour
"""
"""What nobody held of a GPU model in the hour of a moment. Parameters: the cluster, the model, and the moment twice."""
NEAR = """
    select job_id as name from gold_jobs where cluster_id = ? and starts_with(job_id, left(?, 6))
    order by jaro_winkler_similarity(job_id, left(?, 100)) desc, job_id
    limit 3
"""
"""Jobs whose names begin alike. Parameters: the cluster, and the name twice."""


def listed_query(*, where: str = "true", is_whole: bool) -> str:
    """The jobs that fulfil a condition; those of the whole window, whatever their day, or those submitted in a range.

    Parameters: the cluster, those of `where`, and unless it is whole the first and the last day.
    """
    days = "" if is_whole else "and submitted_day between ? and ?"
    return f"select {', '.join(LISTED)} from gold_jobs where cluster_id = ? and ({where}) {days}"


@dataclass(frozen=True)
class OneJob:
    """One job: its row of `gold_jobs`, the verdict on it, its days, attempts and bills; `lacks` says why a column is empty."""

    job: Mapping[str, Any]
    verdict: Mapping[str, Any] | None
    days: Sequence[Mapping[str, Any]]
    attempts: Sequence[Mapping[str, Any]]
    attempts_all: int
    costs: Sequence[Mapping[str, Any]]
    lacks: Mapping[str, str]


def job_row(scope: Scope, name: str) -> dict[str, Any] | None:
    """The row of one job of the scope's cluster, None where there is none of that name."""
    key = (scope.cluster.cluster_id, name)
    days = scope.row(_USER, *key)
    user = days and days["user_id"]
    return (scope.row(_JOB + _OF_USER, *key, user) if user is not None else None) or scope.row(_JOB, *key)


def verdict_on(scope: Scope, job: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a detector says of a job, given its row; None where none has judged it."""
    key, user = (scope.cluster.cluster_id, job["job_id"]), job["user_id"]
    return scope.row(_VERDICT, *key) if user is None else scope.row(_VERDICT + _OF_USER, *key, user)


def read_job(scope: Scope, name: str) -> OneJob | None:
    """One job of the scope's cluster, whatever the days of the scope; None where there is none of that name."""
    key = (scope.cluster.cluster_id, name)
    job = job_row(scope, name)
    if job is None:
        return None
    lacks = {column: why for column, why in scope.not_recorded("gold_jobs").items() if job.get(column) is None}
    (counted,) = scope.rows(f"select count(*) as n from ({ATTEMPTS})", *key)
    return OneJob(
        job=job,
        verdict=verdict_on(scope, job),
        days=scope.rows(f"{DAYS} order by dt", *key),
        attempts=scope.rows(
            f"{ATTEMPTS} order by started_at nulls last, task_id, attempt_id limit {MOST_ATTEMPTS}", *key
        ),
        attempts_all=counted["n"],
        costs=scope.rows(f"{COSTS} order by dt, pool", *key),
        lacks=lacks,
    )


def near_jobs(scope: Scope, name: str) -> list[str]:
    """Up to three jobs of the scope's cluster whose names begin like this one."""
    return [row["name"] for row in scope.rows(NEAR, scope.cluster.cluster_id, name, name)] if name else []


def largest_jobs(scope: Scope, *, most: int, user: str | None = None) -> list[dict[str, Any]]:
    """The jobs of a scope with the most idle GPU-hours, then the largest."""
    where, params = ("true", ()) if user is None else ("user_id = ?", (user,))
    days = () if scope.is_whole else (scope.since, scope.until)
    query = listed_query(where=where, is_whole=scope.is_whole)
    order = "idle_held_gpu_h desc nulls last, allocated_gpu_h desc nulls last, job_id"
    return scope.rows(f"{query} order by {order} limit {most:d}", scope.cluster.cluster_id, *params, *days)
