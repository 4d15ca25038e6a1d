{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

machine_days as (
    select * from {{ ref('int_machine_days') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select * from {{ ref('silver_days') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
)

select
    machine_days.cluster_id,
    machine_days.dt,
    machine_days.machine_id,
    machines.pool,
    machines.gpu_count,
    {{ ratio('machine_days.gpu_pct_s', 'machine_days.gpu_covered_s * machines.gpu_count') }} as gpu_util_per_gpu_pct,
    {{ machine_bound(
        'machine_days.gpu_pct_s', 'machine_days.gpu_covered_s * machines.gpu_count', 'machine_days.gpu_pct_h_variance', -1
    ) }} as gpu_util_per_gpu_low,
    {{ machine_bound(
        'machine_days.gpu_pct_s', 'machine_days.gpu_covered_s * machines.gpu_count', 'machine_days.gpu_pct_h_variance', 1
    ) }} as gpu_util_per_gpu_high,
    machine_days.gpu_method,
    {{ ratio('machine_days.gpu_covered_s', 'days.day_s') }} as coverage_ratio,
    {{ ratio('machine_days.cpu_pct_s', 'machine_days.cpu_covered_s') }} as cpu_util_pct,
    {{ machine_bound('machine_days.cpu_pct_s', 'machine_days.cpu_covered_s', 'machine_days.cpu_pct_h_variance', -1) }}
        as cpu_util_low,
    {{ machine_bound('machine_days.cpu_pct_s', 'machine_days.cpu_covered_s', 'machine_days.cpu_pct_h_variance', 1) }}
        as cpu_util_high,
    {{ ratio('machine_days.load_1m_s', 'machine_days.load_covered_s') }} as load_1m,
    {{ ratio('machine_days.net_rx_bytes', 'machine_days.net_covered_s') }} as net_rx_bytes_per_s,
    {{ ratio('machine_days.net_tx_bytes', 'machine_days.sent_covered_s') }} as net_tx_bytes_per_s,
    {{ ratio('machine_days.memory_byte_s', 'machine_days.memory_covered_s') }} as memory_used_bytes,
    machine_days.memory_total_bytes,
    days.day_s,
    machine_days.gpu_covered_s,
    cast(machine_days.gpu_pct_s as double) as gpu_pct_s,
    machine_days.gpu_pct_h_variance,
    machine_days.cpu_covered_s,
    cast(machine_days.cpu_pct_s as double) as cpu_pct_s,
    machine_days.cpu_pct_h_variance,
    machine_days.load_covered_s,
    cast(machine_days.load_1m_s as double) as load_1m_s,
    machine_days.net_covered_s,
    machine_days.net_rx_bytes,
    machine_days.sent_covered_s,
    machine_days.net_tx_bytes,
    machine_days.memory_covered_s,
    machine_days.memory_byte_s,
    case when accounted.cluster_id is not null then machine_days.allocated_mgpu_s / (days.day_s * 1000.0) end
        as gpus_allocated,
    case when accounted.cluster_id is not null then {{ gpu_h('machine_days.allocated_mgpu_s') }} end
        as allocated_gpu_h,
    case when accounted.is_measured then {{ gpu_h('machine_days.active_mgpu_s') }} end as active_gpu_h,
    case when accounted.is_measured then {{ gpu_h('machine_days.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    case when accounted.cluster_id is not null then {{ gpu_h('machine_days.unknown_mgpu_s') }} end
        as unknown_gpu_h,
    case when accounted.is_measured then {{ gpu_h('machine_days.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    case when accounted.is_measured then {{ gpu_h('machine_days.over_use_mgpu_s') }} end as over_use_gpu_h,
    case when accounted.cluster_id is not null then {{ gpu_h('machine_days.over_allocated_mgpu_s') }} end
        as over_allocated_gpu_h,
    machine_days.main_job_id
from machine_days
inner join days
    on machine_days.cluster_id = days.cluster_id
        and machine_days.dt = days.dt
left join accounted
    on machine_days.cluster_id = accounted.cluster_id
left join machines
    on machine_days.cluster_id = machines.cluster_id
        and machine_days.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'days.starts_at') }}
