"""What is unusual in a range: days with what was expected of them, hours and machines, and jobs.

Parameters of each: the cluster, the first and the last day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading import ranges
from gpulake.reading.people import is_user
from gpulake.reading.scope import Scope

# The band that belongs to what made the day unusual; the mean use of all GPUs where nothing did.
_BAND = """
        seen as seen_pct,
        expected as expected_pct,
        case anomaly_driver
            when 'allocated_gpu_util' then expected_allocated_low
            when 'typical_job_gpu_util' then expected_typical_low
            else expected_low
        end as expected_low_pct,
        case anomaly_driver
            when 'allocated_gpu_util' then expected_allocated_high
            when 'typical_job_gpu_util' then expected_typical_high
            else expected_high
        end as expected_high_pct
"""
DAYS = f"""
    select dt, anomaly_reason, anomaly_score, coverage_ratio, {_BAND}
    from gold_cluster_util_daily_scored
    where cluster_id = ? and dt between ? and ? and judgement = 'anomaly'
"""
RUNS = """
    select machine_id, dt, start_at, end_at, hours, anomaly_score, anomaly_reason
    from gold_anomaly_runs
    where cluster_id = ? and dt between ? and ?
"""
MACHINES = f"{RUNS} and machine_id is not null"
HOURS = f"{RUNS} and machine_id is null"
JOBS = """
    select job_id, user_id, dt, allocated_gpu_h, anomaly_score, anomaly_reason
    from gold_job_anomalies
    where cluster_id = ? and dt between ? and ? and judgement = 'anomaly'
"""
FLAGGED_BY_DAY = """
    select dt, anomaly_reason from gold_cluster_util_daily_scored
    where cluster_id = ? and dt between ? and ? and judgement = 'anomaly'
    order by dt
"""
FLAGGED_BY_HOUR = """
    select hour_start_at, anomaly_reason from (
        select hour_start_at, anomaly_reason, cluster_id, dt from gold_cluster_hours_scored
        where judgement = 'anomaly'
        union all
        select min(hours.hour_start_at), 'the whole day: ' || days.anomaly_reason, days.cluster_id, days.dt
        from gold_cluster_util_daily_scored as days
        inner join gold_cluster_util_hourly as hours using (cluster_id, dt)
        where days.judgement = 'anomaly'
        group by days.cluster_id, days.dt, days.anomaly_reason
    )
    where cluster_id = ? and dt between ? and ?
    order by hour_start_at
"""
"""Steps at which the whole cluster was unusual, as a picture of days or of hours marks them; a day at its first hour."""


@dataclass(frozen=True)
class Unusual:
    """What is unusual in a scope, the strangest first; `judged` counts its days."""

    judged: Mapping[str, Any] | None
    days: Sequence[Mapping[str, Any]]
    hours: Sequence[Mapping[str, Any]]
    machines: Sequence[Mapping[str, Any]]
    jobs: Sequence[Mapping[str, Any]]
    judges: Sequence[Mapping[str, Any]]


JUDGES = "select detector, level, note from gold_detectors where cluster_id = ? and is_shown order by level, detector"
"""Whose verdicts people are shown. Parameter: the cluster."""


def read_unusual(scope: Scope, *, user: str | None = None) -> Unusual | None:
    """What is unusual in a scope; of one `user` the jobs only. None where nobody of that name ever held or submitted anything."""
    if user is not None and not is_user(scope, user):
        return None
    days = (scope.cluster.cluster_id, scope.since, scope.until)

    def strangest(query: str, then: str, *of: object) -> list[dict[str, Any]]:
        return scope.rows(f"select * from ({query}) order by anomaly_score desc nulls last, {then}", *days, *of)

    return Unusual(
        judged=scope.row(ranges.judged_query(), *days),
        days=() if user else strangest(DAYS, "dt"),
        hours=() if user else strangest(HOURS, "start_at"),
        machines=() if user else strangest(MACHINES, "start_at, machine_id"),
        jobs=strangest(f"{JOBS} and user_id = ?", "job_id", user) if user else strangest(JOBS, "job_id"),
        judges=scope.rows(JUDGES, scope.cluster.cluster_id),
    )
