{{ config(materialized='ephemeral') }}

-- Attempts without both times, per pool and day: how many, and what the running ones among them hold at the most: from
-- their start on this day, and all day on the days after, until their job ended, else until the window's end. On a day with
-- starts and ends Σ steps × (seconds until the day's end) is what they add to what was held before.
with

spans as (
    select
        *,
        {{ is_failed('job_status') }} as is_failed,
        known_times = 'start only' and instance_status = 'running' as is_running
    from {{ ref('silver_unbounded_spans') }}
),

steps as (
    select
        cluster_id,
        dt,
        pool,
        spans,
        case when is_failed then spans else 0 end as failed_spans,
        case when is_running then held_mgpu else 0 end as step_mgpu,
        case when is_running then held_mgpu_from_s else 0 end as step_mgpu_s
    from spans
    union all
    select
        cluster_id,
        last_day as dt,
        pool,
        0 as spans,
        0 as failed_spans,
        -(held_mgpu - no_to_mgpu) as step_mgpu,
        -held_mgpu_to_s as step_mgpu_s
    from spans
    where is_running
),

day_steps as (
    select
        cluster_id,
        dt,
        pool,
        sum(spans) as spans,
        sum(failed_spans) as failed_spans,
        sum(step_mgpu) as step_mgpu,
        sum(step_mgpu_s) as step_mgpu_s
    from steps
    where dt is not null
    group by cluster_id, dt, pool
),

running as (
    select
        days.cluster_id,
        days.dt,
        pools.pool,
        days.day_s,
        days.ends_s,
        coalesce(day_steps.spans, 0) as spans,
        coalesce(day_steps.failed_spans, 0) as failed_spans,
        coalesce(day_steps.step_mgpu, 0) as step_mgpu,
        coalesce(day_steps.step_mgpu_s, 0) as step_mgpu_s,
        coalesce(sum(day_steps.step_mgpu) over (
            partition by days.cluster_id, pools.pool
            order by days.dt
            rows between unbounded preceding and 1 preceding
        ), 0) as before_mgpu
    from {{ ref('int_days') }} as days
    inner join {{ ref('silver_pools') }} as pools
        on days.cluster_id = pools.cluster_id
    left join day_steps
        on days.cluster_id = day_steps.cluster_id
            and days.dt = day_steps.dt
            and pools.pool = day_steps.pool
)

select
    cluster_id,
    dt,
    pool,
    cast(spans as bigint) as unbounded_spans,
    cast(failed_spans as bigint) as failed_unbounded_spans,
    before_mgpu * day_s + step_mgpu * ends_s - step_mgpu_s as running_mgpu_s
from running
