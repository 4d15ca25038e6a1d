"""What is read of users: all of a range, and of one user the sums, the days and the waits."""

from __future__ import annotations

from gpulake.reading import ranges

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
