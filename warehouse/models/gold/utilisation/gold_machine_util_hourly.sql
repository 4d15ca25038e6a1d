{{ config(materialized='view') }}

with

machine_hours as (
    select * from {{ ref('int_machine_hours') }}
),

machine_days as (
    select * from {{ ref('silver_machine_days') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select * from {{ ref('silver_days') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

sized as (
    select
        machine_hours.*,
        least(3600, {{ seconds_between('machine_hours.hour_start_at', 'days.ends_at') }}) as hour_s,
        accounted.cluster_id is not null as is_accounted,
        accounted.is_measured
    from machine_hours
    inner join days
        on machine_hours.cluster_id = days.cluster_id
            and machine_hours.dt = days.dt
    left join accounted
        on machine_hours.cluster_id = accounted.cluster_id
)

select
    sized.cluster_id,
    sized.dt,
    sized.hour_start_at,
    sized.machine_id,
    machines.pool,
    machines.gpu_count,
    cast(sized.gpu_util_weighted_pct as double) as gpu_util_weighted_pct,
    sized.gpu_covered_s / sized.hour_s as coverage_ratio,
    cast(sized.cpu_util_pct as double) as cpu_util_pct,
    cast(sized.load_1m as double) as load_1m,
    cast(sized.net_rx_bytes_per_s as double) as net_rx_bytes_per_s,
    case when sized.is_accounted then sized.allocated_mgpu_s / (sized.hour_s * 1000) end as gpus_allocated,
    case when sized.is_accounted then {{ gpu_h('sized.allocated_mgpu_s') }} end as allocated_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.active_mgpu_s') }} end as active_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    case when sized.is_accounted then {{ gpu_h('sized.unknown_mgpu_s') }} end as unknown_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    case when sized.is_accounted then {{ gpu_h('sized.over_allocated_mgpu_s') }} end as over_allocated_gpu_h,
    machine_days.main_job_id
from sized
left join machines
    on sized.cluster_id = machines.cluster_id
        and sized.machine_id = machines.machine_id
left join machine_days
    on sized.cluster_id = machine_days.cluster_id
        and sized.dt = machine_days.dt
        and sized.machine_id = machine_days.machine_id
