{{ config(materialized='ephemeral') }}

-- Where a part of a day begins and ends to count, per hour: a part of g GPUs from s to e adds g at s and takes it away at e.
-- `seconds` are those left in the hour of the border, `step` its sign; a part within one hour is whole there, so it has no
-- second border. Use is counted in billionths of a GPU.
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
        cast(days.day_s as integer) as day_s,
        cast(parts.start_s - days.starts_s as integer) as start_s,
        cast(parts.end_s - days.starts_s as integer) as end_s,
        parts.held_mgpu as held,
        case when parts.gpu_used_count is not null then parts.held_mgpu else 0 end as measured,
        case when parts.gpu_used_count is not null
            then {{ whole('least(parts.gpu_used_count, parts.held_mgpu / 1000.0) * 1000000000') }}
            else 0
        end as used,
        case when parts.gpu_used_count = 0 then parts.held_mgpu else 0 end as zero
    from parts
    inner join units
        on parts.cluster_id = units.cluster_id
            and parts.pool = units.pool
            and coalesce(parts.machine_id, '') = coalesce(units.machine_id, '')
    inner join days
        on parts.cluster_id = days.cluster_id
            and parts.dt = days.dt
),

-- An end on the last border belongs to the last hour.
part_hours as (
    select
        *,
        start_s // 3600 as start_hour_no,
        least(end_s, day_s - 1) // 3600 as end_hour_no
    from numbered_parts
)

select
    part_hours.unit_no,
    part_hours.day_no,
    part_hours.day_s,
    case when signs.sign = 1 then part_hours.start_hour_no else part_hours.end_hour_no end as hour_no,
    case when part_hours.start_hour_no = part_hours.end_hour_no then 0 else signs.sign end as step,
    case
        when part_hours.start_hour_no = part_hours.end_hour_no then part_hours.end_s - part_hours.start_s
        when signs.sign = 1 then least((part_hours.start_hour_no + 1) * 3600, part_hours.day_s) - part_hours.start_s
        else part_hours.end_s - least((part_hours.end_hour_no + 1) * 3600, part_hours.day_s)
    end as seconds,
    part_hours.held,
    part_hours.measured,
    part_hours.used,
    part_hours.zero
from part_hours
cross join (values (1), (-1)) as signs (sign)
where signs.sign = 1 or part_hours.start_hour_no != part_hours.end_hour_no
