{{ config(materialized='ephemeral') }}

-- What windows say of their machine's hour.
with

hours as (
    select * from {{ ref('int_swept_hours') }}
),

measured_machines as (
    select * from {{ ref('int_measured_machines') }}
),

days as (
    select * from {{ ref('int_days') }}
)

select
    measured_machines.cluster_id,
    measured_machines.machine_id,
    days.dt,
    days.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    least(3600, days.day_s - hours.hour_no * 3600) as hour_s,
    hours.*
from hours
inner join measured_machines
    on hours.machine_no = measured_machines.machine_no
inner join days
    on hours.day_no = days.day_no
