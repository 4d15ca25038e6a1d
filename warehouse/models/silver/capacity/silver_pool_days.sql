{{ config(materialized='table') }}
{%- set amounts = ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util', 'failed_active'] %}

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
    select * from {{ ref('int_pool_held') }}
),

down as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(down_mgpu_s) as bigint) as down_mgpu_s
    from {{ ref('int_pool_down') }}
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
        down.down_mgpu_s,
        {%- for amount in amounts %}
        coalesce(held.{{ amount }}_mgpu_s, 0) as {{ amount }}_mgpu_s{{ ',' if not loop.last }}
        {%- endfor %}
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
    left join down
        on days.cluster_id = down.cluster_id
            and days.dt = down.dt
            and pools.pool = down.pool
)

select
    cluster_id,
    dt,
    pool,
    gpu_model,
    is_described,
    capacity_mgpu_s,
    case when capacity_mgpu_s is not null then over_allocated_mgpu_s end as over_allocated_mgpu_s,
    down_mgpu_s,
    capacity_mgpu_s + over_allocated_mgpu_s - allocated_mgpu_s - coalesce(down_mgpu_s, 0) as unallocated_mgpu_s,
    allocated_mgpu_s,
    active_mgpu_s,
    idle_held_mgpu_s,
    unknown_mgpu_s,
    over_use_mgpu_s,
    zero_util_mgpu_s,
    failed_active_mgpu_s
from joined
