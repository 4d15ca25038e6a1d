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

-- Names are numbers here, in the same order: millions of texts would not fit in memory.
jobs as (
    select
        job_id,
        row_number() over (order by job_id) as job_no
    from (select distinct job_id from parts) as named
),

numbered_parts as (
    select
        units.unit_no,
        days.day_no,
        jobs.job_no,
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
    inner join jobs
        on parts.job_id = jobs.job_id
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
        job_no,
        sum(held_mgpu * (least(end_s, (hour_no + 1) * 3600) - greatest(start_s, hour_no * 3600))) as held_mgpu_s
    from part_hours
    group by unit_no, day_no, hour_no, job_no
),

-- One number that grows with what a job held, and among equals with its name.
most as (
    select
        unit_no,
        day_no,
        hour_no,
        max(cast(held_mgpu_s as decimal(38, 0)) * 10000000000 + job_no) % 10000000000 as job_no
    from held
    group by unit_no, day_no, hour_no
)

select
    most.unit_no,
    most.day_no,
    most.hour_no,
    jobs.job_id
from most
inner join jobs
    on most.job_no = jobs.job_no
