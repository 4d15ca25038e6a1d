{{ config(materialized='ephemeral') }}

-- Lists of the windows that bear on a machine's days of eight days' time: those that meet them or come within a day of them.
-- 180000 s: the longest day and its reach, of a day and what is missing to a whole hour.
with

machines as (
    select * from {{ ref('int_measured_machines') }}
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
)

select
    machine_no,
    chunk_no,
    {{ listed_rows({
        'start_s': 'start_s', 'end_s': 'end_s', 'gpu_pct': 'gpu_util_pct', 'cpu_pct': 'cpu_util_pct',
    }) }} as windows
from chunked
group by machine_no, chunk_no
