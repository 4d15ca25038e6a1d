{{ config(materialized='ephemeral') }}

-- Seconds of each hour in which a machine was down or drained.
with

states as (
    select * from {{ ref('silver_machine_states') }}
    where state in ('down', 'drained')
),

day_hours as (
    select
        cluster_id,
        dt,
        starts_at as day_starts_at,
        ends_at as day_ends_at,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('silver_days') }}
    where cluster_id in (select states.cluster_id from states)
),

hours as (
    select
        cluster_id,
        dt,
        hour_no,
        day_starts_at + hour_no * interval 1 hour as starts_at,
        least(day_starts_at + (hour_no + 1) * interval 1 hour, day_ends_at) as ends_at
    from day_hours
)

select
    hours.cluster_id,
    hours.dt,
    hours.hour_no,
    hours.starts_at,
    hours.ends_at,
    states.machine_id,
    cast(
        sum({{ seconds_between('greatest(states.from_at, hours.starts_at)', 'least(states.told_until_at, hours.ends_at)') }})
        as bigint
    ) as down_s
from states
inner join hours
    on states.cluster_id = hours.cluster_id
        and states.from_at < hours.ends_at
        and states.told_until_at > hours.starts_at
group by hours.cluster_id, hours.dt, hours.hour_no, hours.starts_at, hours.ends_at, states.machine_id
