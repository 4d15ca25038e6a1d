{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['dt'],
    pre_hook="{{ delete_touched_days('machine_window') }}",
) }}

with

windows as (
    select * from {{ ref('silver_gpu_timeseries') }}
    where started_at < ended_at and {{ within_touched_range('machine_window', 'started_at', 'ended_at') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    {{ numbered_days('machine_window') }}
),

clusters as (
    select distinct
        cluster_id,
        cluster_no
    from days
),

measured as (
    select distinct
        cluster_id,
        machine_id
    from windows
),

-- Numbers for texts: the sweep below sorts and groups by them.
numbered_machines as (
    select
        measured.cluster_id,
        measured.machine_id,
        clusters.cluster_no,
        cast(row_number() over (order by measured.cluster_id, measured.machine_id) as integer) as machine_no
    from measured
    inner join clusters
        on measured.cluster_id = clusters.cluster_id
),

{{ swept_machine_hours('windows', 'numbered_machines', 'days') }}

select
    numbered_machines.cluster_id,
    numbered_machines.machine_id,
    days.dt,
    days.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    least(3600, days.day_s - hours.hour_no * 3600) as hour_s,
    machines.gpu_count,
    machines.cpu_cores,
    hours.gpu_covered_s,
    hours.cpu_covered_s,
    cast(hours.gpu_pct_us / 1000000 as decimal(18, 6)) as gpu_pct_s,
    cast(hours.cpu_pct_us / 1000000 as decimal(18, 6)) as cpu_pct_s,
    cast(
        hours.gpu_pct_weighted_us / 1000000 / nullif(hours.gpu_covered_s, 0) / nullif(machines.gpu_count, 0)
        as decimal(18, 6)
    ) as gpu_util_pct,
    cast(hours.cpu_pct_us / 1000000 / nullif(hours.cpu_covered_s, 0) as decimal(18, 6)) as cpu_util_pct,
    cast(hours.load_us / 1000000 / nullif(hours.load_covered_s, 0) as decimal(18, 6)) as load_1m,
    cast(hours.net_byte_s / nullif(hours.net_covered_s, 0) as decimal(18, 6)) as net_rx_bytes_per_s
from swept_hours as hours
inner join numbered_machines
    on hours.machine_no = numbered_machines.machine_no
inner join days
    on hours.day_no = days.day_no
left join machines
    on numbered_machines.cluster_id = machines.cluster_id
        and numbered_machines.machine_id = machines.machine_id
