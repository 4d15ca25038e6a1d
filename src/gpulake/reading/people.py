"""What is read of users: all of a range, and of one user the sums, the days and the waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from gpulake.reading import ranges
from gpulake.reading.jobs import job_row, largest_jobs
from gpulake.reading.scope import Scope

_WAITS = """
    select value as user_id, jobs_never_started, wait_p50_s, km_p50_s, km_p90_s from gold_queue_wait
    where cluster_id = ? and grouped_by = 'user'
"""
USERS = f"""
    select users.*, waits.jobs_never_started, waits.km_p50_s, waits.km_p90_s
    from ({ranges.users_query()}) as users
    left join ({_WAITS}) as waits on users.user_id = waits.user_id
"""
"""Parameters: those of `ranges.users_query`, and the cluster."""
DAYS = """
    select days.* exclude (cluster_id, user_id), costs.cost_usd
    from (select * from gold_user_gpu_usage_daily where cluster_id = ? and user_id = ? and dt between ? and ?) as days
    left join (select dt, cost_usd from gold_user_cost_daily where cluster_id = ? and user_id = ?) as costs using (dt)
"""
WAIT = """
    select * from gold_queue_wait where cluster_id = ? and grouped_by = 'user' and value = ?
"""
COUNT = """
    select count(distinct user_id) as users from gold_user_gpu_usage_daily
    where cluster_id = ? and dt between ? and ? and allocated_gpu_h is not null
"""
HAS_DAYS = "select 1 as found from gold_user_gpu_usage_daily where cluster_id = ? and user_id = ? limit 1"
NEAR = """
    select name from (
        select distinct
            value as name,
            starts_with(value, left(?, 4)) as begins_alike,
            jaro_winkler_similarity(value, left(?, 100)) as likeness
        from gold_queue_wait where cluster_id = ? and grouped_by = 'user' and value is not null
    )
    where begins_alike or likeness > 0.8
    order by begins_alike desc, likeness desc, name
    limit 3
"""
"""Users of a similar name. Parameters: the name twice, and the cluster."""


@dataclass(frozen=True)
class OneUser:
    """One user in a range: sums, waits, days and the jobs with the most idle GPU-hours, of the `first` all that is known.

    `users` counts everybody whose GPU-hours are known.
    """

    name: str
    user: Mapping[str, Any] | None
    wait: Mapping[str, Any] | None
    users: int
    days: Sequence[Mapping[str, Any]]
    jobs: Sequence[Mapping[str, Any]]
    first: Mapping[str, Any] | None
    lacks: Mapping[str, str]


def user_row(scope: Scope, name: str) -> dict[str, Any] | None:
    """What one user held and did in a scope, with the place among all; None where that is nothing."""
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    found = scope.row(ranges.user_query(), *days, name, *days, name)
    if found is not None:
        places = scope.table(ranges.places_query(), *days)
        place = pc.index(places["user_id"], name).as_py()
        found["rank"] = places["rank"][place].as_py() if place >= 0 else None
    return found


def read_user(scope: Scope, name: str, *, most_jobs: int = 5) -> OneUser | None:
    """One user of the scope's cluster; None where nobody of that name ever held a GPU or submitted a job."""
    cluster = scope.cluster.cluster_id
    days = (cluster, scope.since, scope.until)
    wait = scope.row(WAIT, cluster, name)
    user = user_row(scope, name)
    if not name or not (user or wait or scope.row(HAS_DAYS, cluster, name)):
        return None
    jobs = largest_jobs(scope, most=most_jobs, user=name)
    return OneUser(
        name=name,
        user=user,
        wait=wait,
        users=scope.rows(COUNT, *days)[0]["users"],
        days=scope.rows(f"{DAYS} order by dt", cluster, name, scope.since, scope.until, cluster, name),
        jobs=jobs,
        first=job_row(scope, jobs[0]["job_id"]) if jobs else None,
        lacks=scope.not_recorded("gold_jobs"),
    )


def is_user(scope: Scope, name: str) -> bool:
    """Whether anybody of that name ever held a GPU or submitted a job in the scope's cluster."""
    cluster = scope.cluster.cluster_id
    return bool(scope.row(WAIT, cluster, name) or scope.row(HAS_DAYS, cluster, name))


def near_users(scope: Scope, name: str) -> list[str]:
    """Up to three users of the scope's cluster whose names are like this one."""
    return [row["name"] for row in scope.rows(NEAR, name, name, scope.cluster.cluster_id)] if name else []
