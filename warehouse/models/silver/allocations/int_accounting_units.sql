{{ config(materialized='ephemeral') }}

-- What capacity is counted by: a machine; in a cluster of one pool, which names no machines, the pool; and machines that
-- hold work but are not described, whose capacity is none that we know of: all that they hold is over-allocated.
with

described as (
    select
        cluster_id,
        case when pool != 'all' then machine_id end as machine_id,
        pool,
        cast(sum(gpu_count) as bigint) as gpu_count
    from {{ ref('silver_machines') }}
    where pool is not null
    group by all
),

used as (
    select distinct
        cluster_id,
        machine_id,
        pool,
        case when pool = 'unknown machine' then 0 end as gpu_count
    from {{ ref('silver_allocation_days') }}
    where {{ of_touched_days('allocation') }}
),

units as (
    select
        cluster_id,
        machine_id,
        pool,
        cast(max(gpu_count) as bigint) as gpu_count
    from (
        select * from described
        union all
        select * from used
    ) as described_and_used
    group by cluster_id, machine_id, pool
)

select
    cluster_id,
    machine_id,
    pool,
    gpu_count,
    cast(row_number() over (order by cluster_id, machine_id, pool) as integer) as unit_no
from units
