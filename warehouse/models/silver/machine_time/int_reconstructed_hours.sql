{{ config(materialized='ephemeral') }}

-- The hours that lie behind the means of overlapping windows, by gpulake.reconstruct: a day's hours stand on the windows
-- that meet it or come within a day of it. The function gets lists: of a machine the windows that bear on days of eight
-- days' time, and those days. 180000 s: the longest day and its reach, of a day and what is missing to a whole hour.
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

windows as (
    select
        machines.machine_no,
        {{ utc_to_epoch('windows.started_at') }} as start_s,
        {{ utc_to_epoch('windows.ended_at') }} as end_s,
        windows.gpu_util_pct / greatest(coalesce(windows.gpu_count, 1), 1) as gpu_util_pct,
        windows.cpu_util_pct
    from {{ ref('silver_gpu_timeseries') }} as windows
    inner join machines
        on windows.cluster_id = machines.cluster_id
            and windows.machine_id = machines.machine_id
    where
        windows.started_at < windows.ended_at
        and (windows.gpu_util_pct is not null or windows.cpu_util_pct is not null)
        and {{ within_touched_range('machine_window', 'windows.started_at', 'windows.ended_at', reach_h=25) }}
),

chunked as (
    select
        *,
        {{ each_number('(start_s - 180000) // 691200', '(end_s + 90000) // 691200') }} as chunk_no
    from windows
),

bearing as (
    select
        machine_no,
        chunk_no,
        {{ listed_rows({
            'start_s': 'start_s', 'end_s': 'end_s', 'gpu_pct': 'gpu_util_pct', 'cpu_pct': 'cpu_util_pct',
        }) }} as windows
    from chunked
    group by machine_no, chunk_no
),

asked as (
    select
        machines.machine_no,
        days.chunk_no,
        {{ listed_rows({
            'day_no': 'days.day_no', 'start_s': 'days.starts_s', 'end_s': 'days.ends_s',
            'gpus': 'greatest(coalesce(described.gpu_count, 1), 1)',
        }) }} as days
    from machines
    inner join days
        on machines.cluster_no = days.cluster_no
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
