{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['dt'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

parts as {{ inlined() }} (
    select * from {{ ref('silver_allocation_days') }}
    where {{ touched_days_only('allocation') }}
),

units as (
    {{ accounting_units('parts') }}
),

days as (
    {{ numbered_days() }}
),

{{ allocated_hours('parts', 'units', 'days') }},

-- Machines that are valid for a part of the window only: few, or none.
partly_valid as (
    select
        units.unit_no,
        machines.gpu_count,
        machines.valid_from,
        machines.valid_to
    from {{ ref('silver_machines') }} as machines
    inner join units
        on machines.cluster_id = units.cluster_id
            and machines.pool = units.pool
            and machines.machine_id = coalesce(units.machine_id, machines.machine_id)
    where machines.valid_from is not null or machines.valid_to is not null
),

invalid_hours as (
    select
        hours.unit_no,
        hours.day_no,
        hours.hour_no,
        cast(sum(partly_valid.gpu_count * 1000 * (hours.hour_s - {{ valid_seconds(
            'days.starts_at + hours.hour_no * interval 1 hour',
            'days.starts_at + hours.hour_no * interval 1 hour + hours.hour_s * interval 1 second',
        ) }})) as bigint) as invalid_mgpu_s
    from allocated_hours as hours
    inner join partly_valid
        on hours.unit_no = partly_valid.unit_no
    inner join days
        on hours.day_no = days.day_no
    group by hours.unit_no, hours.day_no, hours.hour_no
),

capacity_hours as (
    select
        hours.*,
        units.cluster_id,
        units.machine_id,
        units.pool,
        units.gpu_count * 1000 * hours.hour_s - coalesce(invalid_hours.invalid_mgpu_s, 0) as capacity_mgpu_s
    from allocated_hours as hours
    inner join units
        on hours.unit_no = units.unit_no
    left join invalid_hours
        on hours.unit_no = invalid_hours.unit_no
            and hours.day_no = invalid_hours.day_no
            and hours.hour_no = invalid_hours.hour_no
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
    hours.zero_util_mgpu_s
from capacity_hours as hours
inner join days
    on hours.day_no = days.day_no
