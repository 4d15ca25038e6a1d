"""What is read of jobs: a list of those of a range, and of one job its row, days, costs, attempts and verdict.

A job belongs to the day on which it was submitted. All but the list are asked for with the cluster and the job.
"""

from __future__ import annotations

LISTED = (
    "job_id", "user_id", "job_status", "gpu_request_count", "allocated_gpu_h", "idle_held_gpu_h", "efficiency_ratio",
    "wait_s", "run_s", "cost_usd", "submitted_at", "gpu_model", "size_class",
)  # fmt: skip
"""Columns of a list of jobs."""

JOB = "select * from gold_jobs where cluster_id = ? and job_id = ?"
VERDICT = "select judgement, anomaly_reason from gold_job_anomalies where cluster_id = ? and job_id = ?"
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
