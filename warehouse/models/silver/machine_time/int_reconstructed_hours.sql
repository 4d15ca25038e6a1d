{{ config(materialized='ephemeral') }}

-- The hours that lie behind the means of overlapping windows, by gpulake.reconstruct: a day's hours stand on the windows
-- that meet it or come within a day of it. The function gets lists: of a machine the windows that bear on days of eight
-- days' time, and those days, with what windows of the day err by themselves.
with

machines as (
    select * from {{ ref('int_measured_machines') }}
),

described as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select
        *,
        starts_s // 691200 as chunk_no
    from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

bearing as (
    select * from {{ ref('int_bearing_windows') }}
),

noise as (
    select * from {{ ref('int_window_noise') }}
),

asked as (
    select
        machines.machine_no,
        days.chunk_no,
        {{ listed_rows({
            'day_no': 'days.day_no', 'start_s': 'days.starts_s', 'end_s': 'days.ends_s',
            'gpus': 'greatest(coalesce(described.gpu_count, 1), 1)',
            'gpu_noise': 'coalesce(noise.gpu_noise, 0)', 'cpu_noise': 'coalesce(noise.cpu_noise, 0)',
        }) }} as days
    from machines
    inner join days
        on machines.cluster_no = days.cluster_no
    left join noise
        on days.day_no = noise.day_no
    left join described
        on machines.cluster_id = described.cluster_id
            and machines.machine_id = described.machine_id
            and {{ is_valid_at('described', 'days.starts_at') }}
    group by machines.machine_no, days.chunk_no
),

solved as (
    select
        asked.machine_no,
        {{ each_row_of('hours_from_windows(bearing.windows, asked.days)') }} as hour_row
    from asked
    inner join bearing
        on asked.machine_no = bearing.machine_no
            and asked.chunk_no = bearing.chunk_no
)

select
    machine_no,
    {{ fields_of('hour_row') }}
from solved
