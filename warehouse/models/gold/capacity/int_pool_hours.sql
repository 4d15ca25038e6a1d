{{ config(materialized='ephemeral') }}

-- Every hour of every pool: its capacity, and what was held of it in clusters where that can be told.
with

pools as (
    select * from {{ ref('silver_pools') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

hours as (
    select
        cluster_id,
        dt,
        starts_at,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('silver_days') }}
),

capacity as (
    select * from {{ ref('silver_capacity_hours') }}
),

held as (
    select
        cluster_id,
        dt,
        hour_no,
        pool,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_allocation_hours') }}
    group by cluster_id, dt, hour_no, pool
),

down as (
    select * from {{ ref('int_pool_down') }}
)

select
    hours.cluster_id,
    hours.dt,
    hours.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    pools.pool,
    pools.gpu_model,
    case when pools.pool = 'unknown machine' then 0 else capacity.capacity_mgpu_s end as capacity_mgpu_s,
    accounted.is_measured,
    case when accounted.cluster_id is not null then down.down_mgpu_s end as down_mgpu_s,
    case when accounted.cluster_id is not null then coalesce(held.allocated_mgpu_s, 0) end as allocated_mgpu_s,
    coalesce(held.active_mgpu_s, 0) as active_mgpu_s,
    coalesce(held.idle_held_mgpu_s, 0) as idle_held_mgpu_s,
    case when accounted.cluster_id is not null then coalesce(held.unknown_mgpu_s, 0) end as unknown_mgpu_s,
    coalesce(held.zero_util_mgpu_s, 0) as zero_util_mgpu_s,
    case
        when accounted.cluster_id is not null and (pools.pool = 'unknown machine' or capacity.capacity_mgpu_s is not null)
            then coalesce(held.over_allocated_mgpu_s, 0)
    end as over_allocated_mgpu_s
from hours
inner join pools
    on hours.cluster_id = pools.cluster_id
left join accounted
    on hours.cluster_id = accounted.cluster_id
left join capacity
    on hours.cluster_id = capacity.cluster_id
        and hours.dt = capacity.dt
        and hours.hour_no = capacity.hour_no
        and pools.pool = capacity.pool
left join held
    on hours.cluster_id = held.cluster_id
        and hours.dt = held.dt
        and hours.hour_no = held.hour_no
        and pools.pool = held.pool
left join down
    on hours.cluster_id = down.cluster_id
        and hours.dt = down.dt
        and hours.hour_no = down.hour_no
        and pools.pool = down.pool
