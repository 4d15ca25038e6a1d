{{ config(materialized='ephemeral') }}

-- What units lack of their GPUs in the hours in which a machine of theirs is not valid: few hours, or none.
with

machines as (
    select * from {{ ref('silver_machines') }}
    where valid_from is not null or valid_to is not null
),

units as (
    select * from {{ ref('int_accounting_units') }}
),

days as (
    select * from {{ ref('int_days') }}
),

partly_valid as (
    select
        units.unit_no,
        machines.gpu_count,
        machines.valid_from,
        machines.valid_to
    from machines
    inner join units
        on machines.cluster_id = units.cluster_id
            and machines.pool = units.pool
            and machines.machine_id = coalesce(units.machine_id, machines.machine_id)
),

hours as (
    select
        allocated.unit_no,
        allocated.day_no,
        allocated.hour_no,
        allocated.hour_s,
        days.starts_at + allocated.hour_no * interval 1 hour as starts_at,
        days.starts_at + allocated.hour_no * interval 1 hour + allocated.hour_s * interval 1 second as ends_at
    from {{ ref('int_allocated_hours') }} as allocated
    inner join days
        on allocated.day_no = days.day_no
)

select
    hours.unit_no,
    hours.day_no,
    hours.hour_no,
    cast(
        sum(partly_valid.gpu_count * 1000 * (hours.hour_s - {{ valid_seconds('hours.starts_at', 'hours.ends_at') }}))
        as bigint
    ) as invalid_mgpu_s
from hours
inner join partly_valid
    on hours.unit_no = partly_valid.unit_no
group by hours.unit_no, hours.day_no, hours.hour_no
