{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
    where {{ of_touched_days('allocation') }}
),

hours as (
    select * from {{ ref('silver_allocation_hours') }}
    where {{ of_touched_days('allocation') }}
),

by_job as (
    select
        cluster_id,
        dt,
        machine_id,
        pool,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(case when {{ is_failed('job_status') }} then active_mgpu_s else 0 end) as bigint) as failed_active_mgpu_s,
        count(*) as parts
    from parts
    group by cluster_id, dt, machine_id, pool, job_id
),

held as (
    select
        cluster_id,
        dt,
        machine_id,
        pool,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(failed_active_mgpu_s) as bigint) as failed_active_mgpu_s,
        cast(sum(parts) as bigint) as parts,
        {{ last_by('job_id', '(allocated_mgpu_s, job_id)') }} as main_job_id
    from by_job
    group by cluster_id, dt, machine_id, pool
),

over as (
    select
        cluster_id,
        dt,
        machine_id,
        pool,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from hours
    group by cluster_id, dt, machine_id, pool
)

select
    held.cluster_id,
    held.dt,
    held.machine_id,
    held.pool,
    held.allocated_mgpu_s,
    held.active_mgpu_s,
    held.idle_held_mgpu_s,
    held.unknown_mgpu_s,
    held.over_use_mgpu_s,
    held.zero_util_mgpu_s,
    held.failed_active_mgpu_s,
    held.parts,
    held.main_job_id,
    over.over_allocated_mgpu_s
from held
inner join over
    on held.cluster_id = over.cluster_id
        and held.dt = over.dt
        and held.machine_id is not distinct from over.machine_id
        and held.pool = over.pool
