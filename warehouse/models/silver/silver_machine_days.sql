{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['dt'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
    where {{ touched_days_only('allocation') }}
),

hours as (
    select * from {{ ref('silver_allocation_hours') }}
    where {{ touched_days_only('allocation') }}
),

held as (
    select
        cluster_id,
        dt,
        machine_id,
        pool,
        {{ amount_sums() }},
        cast(sum(case when {{ is_failed('job_status') }} then active_mgpu_s else 0 end) as bigint) as failed_active_mgpu_s,
        count(*) as parts,
        {{ last_by('job_id', '(allocated_mgpu_s, job_id)') }} as main_job_id
    from parts
    group by cluster_id, dt, machine_id, pool
),

over as (
    select
        cluster_id,
        dt,
        machine_id,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from hours
    group by cluster_id, dt, machine_id
)

select
    held.*,
    over.over_allocated_mgpu_s
from held
inner join over
    on held.cluster_id = over.cluster_id
        and held.dt = over.dt
        and held.machine_id is not distinct from over.machine_id
