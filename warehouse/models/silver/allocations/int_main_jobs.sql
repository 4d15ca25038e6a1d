{{ config(materialized='ephemeral') }}

-- The job that held the most of a unit in an hour, over all its attempts; of equals the last by name.
with

parts as (
    select * from {{ ref('silver_allocation_days') }}
    where {{ of_touched_days('allocation') }}
),

units as (
    select * from {{ ref('int_accounting_units') }}
),

days as (
    select * from {{ ref('int_days') }}
),

numbered_parts as (
    select
        units.unit_no,
        days.day_no,
        parts.job_id,
        parts.held_mgpu,
        parts.start_s - days.starts_s as start_s,
        parts.end_s - days.starts_s as end_s
    from parts
    inner join units
        on parts.cluster_id = units.cluster_id
            and parts.pool = units.pool
            and coalesce(parts.machine_id, '') = coalesce(units.machine_id, '')
    inner join days
        on parts.cluster_id = days.cluster_id
            and parts.dt = days.dt
),

part_hours as (
    select
        *,
        {{ each_number('start_s // 3600', '(end_s - 1) // 3600') }} as hour_no
    from numbered_parts
),

held as (
    select
        unit_no,
        day_no,
        hour_no,
        job_id,
        sum(held_mgpu * (least(end_s, (hour_no + 1) * 3600) - greatest(start_s, hour_no * 3600))) as held_mgpu_s
    from part_hours
    group by unit_no, day_no, hour_no, job_id
)

select
    unit_no,
    day_no,
    hour_no,
    {{ last_by('job_id', '(held_mgpu_s, job_id)') }} as job_id
from held
group by unit_no, day_no, hour_no
