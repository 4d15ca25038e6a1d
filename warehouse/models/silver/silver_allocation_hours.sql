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

{{ allocated_hours('parts', 'units', 'days') }}

select
    units.cluster_id,
    days.dt,
    units.machine_id,
    units.pool,
    cast(hours.hour_no as integer) as hour_no,
    days.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    units.gpu_count * 1000 * hours.hour_s as capacity_mgpu_s,
    case
        when units.gpu_count is not null
            then greatest(hours.allocated_mgpu_s - units.gpu_count * 1000 * hours.hour_s, 0)
    end as over_allocated_mgpu_s,
    hours.allocated_mgpu_s,
    hours.active_mgpu_s,
    hours.measured_mgpu_s - hours.active_mgpu_s as idle_held_mgpu_s,
    hours.allocated_mgpu_s - hours.measured_mgpu_s as unknown_mgpu_s,
    hours.zero_util_mgpu_s
from allocated_hours as hours
inner join units
    on hours.unit_no = units.unit_no
inner join days
    on hours.day_no = days.day_no
