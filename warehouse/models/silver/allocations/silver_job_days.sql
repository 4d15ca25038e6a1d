{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
    where {{ of_touched_days('allocation') }}
)

select
    cluster_id,
    dt,
    job_id,
    pool,
    cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
    cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
    cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
    cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
    cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
    cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
    count(*) as parts
from parts
group by cluster_id, dt, job_id, pool
