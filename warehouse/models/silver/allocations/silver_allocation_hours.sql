{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

allocated_hours as (
    select * from {{ ref('int_allocated_hours') }}
),

units as (
    select * from {{ ref('int_accounting_units') }}
),

invalid_hours as (
    select * from {{ ref('int_invalid_hours') }}
),

main_jobs as (
    select * from {{ ref('int_main_jobs') }}
),

days as (
    select * from {{ ref('int_days') }}
),

hours as (
    select
        units.cluster_id,
        units.machine_id,
        units.pool,
        allocated_hours.*,
        units.gpu_count * 1000 * allocated_hours.hour_s - coalesce(invalid_hours.invalid_mgpu_s, 0) as capacity_mgpu_s
    from allocated_hours
    inner join units
        on allocated_hours.unit_no = units.unit_no
    left join invalid_hours
        on allocated_hours.unit_no = invalid_hours.unit_no
            and allocated_hours.day_no = invalid_hours.day_no
            and allocated_hours.hour_no = invalid_hours.hour_no
)

select
    hours.cluster_id,
    days.dt,
    hours.machine_id,
    hours.pool,
    cast(hours.hour_no as integer) as hour_no,
    days.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    hours.capacity_mgpu_s,
    case when hours.capacity_mgpu_s is not null then greatest(hours.allocated_mgpu_s - hours.capacity_mgpu_s, 0) end
        as over_allocated_mgpu_s,
    hours.allocated_mgpu_s,
    hours.active_mgpu_s,
    hours.measured_mgpu_s - hours.active_mgpu_s as idle_held_mgpu_s,
    hours.allocated_mgpu_s - hours.measured_mgpu_s as unknown_mgpu_s,
    hours.zero_util_mgpu_s,
    main_jobs.job_id as main_job_id
from hours
inner join days
    on hours.day_no = days.day_no
left join main_jobs
    on hours.unit_no = main_jobs.unit_no
        and hours.day_no = main_jobs.day_no
        and hours.hour_no = main_jobs.hour_no
