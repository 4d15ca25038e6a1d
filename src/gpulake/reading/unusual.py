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


MOST = 100
"""Rows of each kind that are read; how many there are is counted."""


@dataclass(frozen=True)
class Unusual:
    """What is unusual in a scope, the strangest first and of each kind MOST rows at most.

    `judged` counts its days, `there` how many of each kind there are, those too that are not read.
    """

    judged: Mapping[str, Any] | None
    there: Mapping[str, int]
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
    kinds: dict[str, tuple[str, str, tuple[object, ...]]] = {
        "days": (DAYS, "dt", ()),
        "hours": (HOURS, "start_at", ()),
        "machines": (MACHINES, "start_at, machine_id", ()),
        "jobs": (JOBS, "job_id", ()),
    }
    if user is not None:
        kinds = {"jobs": (f"{JOBS} and user_id = ?", "job_id", (user,))}
    there: dict[str, int] = dict.fromkeys(("days", "hours", "machines", "jobs"), 0)
    found: dict[str, Sequence[Mapping[str, Any]]] = dict.fromkeys(there, ())
    for kind, (query, then, of) in kinds.items():
        rows = scope.rows(
            f"select *, count(*) over () as there from ({query}) "
            f"order by anomaly_score desc nulls last, {then} limit {MOST:d}",
            *days,
            *of,
        )
        there[kind] = rows[0]["there"] if rows else 0
        found[kind] = [{name: value for name, value in row.items() if name != "there"} for row in rows]
    return Unusual(
        judged=scope.row(ranges.judged_query(), *days),
        there=there,
        judges=scope.rows(JUDGES, scope.cluster.cluster_id),
        **found,
    )
