{{ config(materialized='incremental', pre_hook="{{ delete_replaced_rows('machine_window') }}") }}

with

windows as (
    select * from {{ ref('int_new_machine_windows') }}
),

days as (
    select * from {{ ref('int_day_quarters') }}
)

select
    windows.cluster_id,
    windows.machine_id,
    windows.ended_at as ts,
    windows.gpu_util_pct,
    windows.cpu_util_pct,
    windows.machine_load_1,
    windows.machine_net_receive,
    windows.machine_cpu_iowait,
    windows.machine_cpu_kernel,
    windows.machine_cpu_usr,
    windows.machine_num_worker,
    windows.worker_id,
    windows.started_at,
    windows.ended_at,
    {{ seconds_between('windows.started_at', 'windows.ended_at') }} as window_s,
    windows.gpu_count,
    windows.gpu_util_pct / nullif(windows.gpu_count, 0) as gpu_util_per_gpu_pct,
    windows.gpu_util_pct > 100 * nullif(windows.gpu_count, 0) as over_capacity,
    days.dt,
    windows.landing_id,
    windows.source_row
from windows
inner join days
    on windows.cluster_id = days.cluster_id
        and {{ quarter_of('windows.ended_at') }} = days.quarter
        and windows.ended_at >= days.starts_at
        and windows.ended_at < days.ends_at
