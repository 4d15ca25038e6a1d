{{ config(materialized='table') }}

with

days as (
    select * from {{ ref('silver_days') }}
),

pools as (
    select * from {{ ref('silver_pools') }}
),

capacity as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(capacity_mgpu_s) as bigint) as capacity_mgpu_s
    from {{ ref('silver_capacity_hours') }}
    group by cluster_id, dt, pool
),

held as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(failed_active_mgpu_s) as bigint) as failed_active_mgpu_s,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_machine_days') }}
    group by cluster_id, dt, pool
),

-- Machines that are not described have no capacity that we know of; where no machine of a pool is, nobody knows it.
joined as (
    select
        days.cluster_id,
        days.dt,
        pools.pool,
        pools.gpu_model,
        pools.is_described,
        case
            when pools.is_described then coalesce(capacity.capacity_mgpu_s, 0)
            when pools.pool = 'unknown machine' then 0
        end as capacity_mgpu_s,
        coalesce(held.over_allocated_mgpu_s, 0) as over_allocated_mgpu_s,
        coalesce(held.allocated_mgpu_s, 0) as allocated_mgpu_s,
        coalesce(held.active_mgpu_s, 0) as active_mgpu_s,
        coalesce(held.idle_held_mgpu_s, 0) as idle_held_mgpu_s,
        coalesce(held.unknown_mgpu_s, 0) as unknown_mgpu_s,
        coalesce(held.over_use_mgpu_s, 0) as over_use_mgpu_s,
        coalesce(held.zero_util_mgpu_s, 0) as zero_util_mgpu_s,
        coalesce(held.failed_active_mgpu_s, 0) as failed_active_mgpu_s
    from days
    inner join pools
        on days.cluster_id = pools.cluster_id
    left join capacity
        on days.cluster_id = capacity.cluster_id
            and days.dt = capacity.dt
            and pools.pool = capacity.pool
    left join held
        on days.cluster_id = held.cluster_id
            and days.dt = held.dt
            and pools.pool = held.pool
)

select
    cluster_id,
    dt,
    pool,
    gpu_model,
    is_described,
    capacity_mgpu_s,
    case when capacity_mgpu_s is not null then over_allocated_mgpu_s end as over_allocated_mgpu_s,
    capacity_mgpu_s + over_allocated_mgpu_s - allocated_mgpu_s as unallocated_mgpu_s,
    allocated_mgpu_s,
    active_mgpu_s,
    idle_held_mgpu_s,
    unknown_mgpu_s,
    over_use_mgpu_s,
    zero_util_mgpu_s,
    failed_active_mgpu_s
from joined
