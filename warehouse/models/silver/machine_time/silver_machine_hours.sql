{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_touched_days('machine_window') }}",
) }}

with

machines as (
    select * from {{ ref('silver_machines') }}
),

gpus as (
    select * from {{ ref('int_hours_of_gpus') }}
),

windows as (
    select * from {{ ref('int_hours_of_windows') }}
),

-- Where single GPUs were measured, their samples are what is said of the GPUs.
measured as (
    select
        coalesce(windows.cluster_id, gpus.cluster_id) as cluster_id,
        coalesce(windows.machine_id, gpus.machine_id) as machine_id,
        coalesce(windows.dt, gpus.dt) as dt,
        coalesce(windows.hour_start_at, gpus.hour_start_at) as hour_start_at,
        coalesce(windows.hour_s, gpus.hour_s) as hour_s,
        coalesce(gpus.gpu_covered_s, windows.gpu_covered_s) as gpu_covered_s,
        coalesce(gpus.gpu_pct_us, windows.gpu_pct_us) as gpu_pct_us,
        coalesce(gpus.gpu_pct_us, windows.gpu_pct_weighted_us) as gpu_pct_weighted_us,
        coalesce(windows.cpu_covered_s, 0) as cpu_covered_s,
        windows.cpu_pct_us,
        coalesce(windows.load_covered_s, 0) as load_covered_s,
        windows.load_us,
        coalesce(windows.net_covered_s, 0) as net_covered_s,
        windows.net_byte_s
    from windows
    full outer join gpus
        on windows.cluster_id = gpus.cluster_id
            and windows.machine_id = gpus.machine_id
            and windows.hour_start_at = gpus.hour_start_at
)

select
    hours.cluster_id,
    hours.machine_id,
    hours.dt,
    hours.hour_start_at,
    hours.hour_s,
    machines.gpu_count,
    machines.cpu_cores,
    hours.gpu_covered_s,
    hours.cpu_covered_s,
    hours.load_covered_s,
    hours.net_covered_s,
    cast(hours.gpu_pct_us / 1000000 as decimal(18, 6)) as gpu_pct_s,
    cast(hours.gpu_pct_weighted_us / 1000000 as decimal(18, 6)) as gpu_weighted_pct_s,
    cast(hours.cpu_pct_us / 1000000 as decimal(18, 6)) as cpu_pct_s,
    cast(hours.load_us / 1000000 as decimal(38, 6)) as load_1m_s,
    hours.net_byte_s as net_rx_bytes,
    cast(
        hours.gpu_pct_weighted_us / 1000000 / nullif(hours.gpu_covered_s, 0) / nullif(machines.gpu_count, 0)
        as decimal(18, 6)
    ) as gpu_util_weighted_pct,
    cast(hours.cpu_pct_us / 1000000 / nullif(hours.cpu_covered_s, 0) as decimal(18, 6)) as cpu_util_pct,
    cast(hours.load_us / 1000000 / nullif(hours.load_covered_s, 0) as decimal(18, 6)) as load_1m,
    cast(hours.net_byte_s / nullif(hours.net_covered_s, 0) as decimal(18, 6)) as net_rx_bytes_per_s
from measured as hours
left join machines
    on hours.cluster_id = machines.cluster_id
        and hours.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'hours.hour_start_at') }}
