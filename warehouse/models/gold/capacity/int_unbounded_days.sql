{{ config(materialized='ephemeral') }}

-- Attempts without both times, per pool and day: how many, and what the running ones among them hold at the most if they
-- run to the window's end: from their start on this day, and all day on the days after.
with

spans as (
    select
        *,
        known_times = 'start only' and instance_status = 'running' as is_running
    from {{ ref('silver_unbounded_spans') }}
),

begun as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(spans) as bigint) as spans,
        cast(sum(case when is_running then held_mgpu end) as bigint) as running_mgpu,
        cast(sum(case when is_running then held_mgpu_start_s end) as bigint) as running_mgpu_start_s
    from spans
    group by cluster_id, dt, pool
),

pool_days as (
    select
        days.cluster_id,
        days.dt,
        pools.pool,
        days.day_s,
        days.ends_s
    from {{ ref('int_days') }} as days
    inner join {{ ref('silver_pools') }} as pools
        on days.cluster_id = pools.cluster_id
),

running as (
    select
        pool_days.*,
        coalesce(begun.spans, 0) as spans,
        coalesce(begun.running_mgpu, 0) as running_mgpu,
        coalesce(begun.running_mgpu_start_s, 0) as running_mgpu_start_s,
        coalesce(sum(begun.running_mgpu) over earlier_days, 0) as running_before_mgpu
    from pool_days
    left join begun
        on pool_days.cluster_id = begun.cluster_id
            and pool_days.dt = begun.dt
            and pool_days.pool = begun.pool
    window earlier_days as (
        partition by pool_days.cluster_id, pool_days.pool
        order by pool_days.dt
        rows between unbounded preceding and 1 preceding
    )
)

select
    cluster_id,
    dt,
    pool,
    cast(spans as bigint) as unbounded_spans,
    running_before_mgpu * day_s + running_mgpu * ends_s - running_mgpu_start_s as running_mgpu_s
from running
