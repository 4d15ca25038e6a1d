{{ config(materialized='ephemeral') }}

-- By how much a window errs of itself, on each day: from two that tell the very same time of a machine, and end on it. The
-- median of half their squared difference is 0.455 of the variance. Nothing is learnt from fewer than ten such pairs.
with

machines as (
    select * from {{ ref('int_measured_machines') }}
),

days as (
    select * from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

repeated as (
    select
        machines.cluster_no,
        {{ utc_to_epoch('windows.ended_at') }} as end_s,
        (max(windows.gpu_util_pct) - min(windows.gpu_util_pct)) / greatest(coalesce(max(windows.gpu_count), 1), 1)
            as gpu_difference,
        max(windows.cpu_util_pct) - min(windows.cpu_util_pct) as cpu_difference,
        count(windows.gpu_util_pct) as gpu_windows,
        count(windows.cpu_util_pct) as cpu_windows
    from {{ ref('silver_gpu_timeseries') }} as windows
    inner join machines
        on windows.cluster_id = machines.cluster_id
            and windows.machine_id = machines.machine_id
    where
        windows.started_at < windows.ended_at
        and {{ within_touched_range('machine_window', 'windows.started_at', 'windows.ended_at') }}
    group by machines.cluster_no, machines.machine_no, windows.started_at, windows.ended_at
    having count(*) = 2
),

of_days as (
    select
        days.day_no,
        case when repeated.gpu_windows = 2 then repeated.gpu_difference end as gpu_difference,
        case when repeated.cpu_windows = 2 then repeated.cpu_difference end as cpu_difference
    from repeated
    inner join days
        on repeated.cluster_no = days.cluster_no
            and repeated.end_s > days.starts_s
            and repeated.end_s <= days.ends_s
)

select
    day_no,
    {{ noise_of_pairs('gpu_difference') }} as gpu_noise,
    {{ noise_of_pairs('cpu_difference') }} as cpu_noise
from of_days
group by day_no
