{{ config(materialized='view') }}

with

machine_hours as (
    select * from {{ ref('int_machine_hours') }}
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
    {{ ratio('sized.gpu_weighted_pct_s', 'sized.gpu_covered_s * machines.gpu_count') }} as gpu_util_weighted_pct,
    {%- for end, sign in {'low': -1, 'high': 1}.items() %}
    {{ bound(
        ratio('sized.gpu_weighted_pct_s', 'sized.gpu_covered_s * machines.gpu_count'),
        'cast(sized.gpu_pct_variance as double) / power(nullif(machines.gpu_count, 0), 2)', sign
    ) }} as gpu_util_{{ end }},
    {%- endfor %}
    {{ ratio('sized.gpu_swept_pct_s', 'sized.gpu_covered_s * machines.gpu_count') }} as gpu_util_swept_pct,
    sized.gpu_method,
    sized.cpu_method,
    {{ ratio('sized.gpu_covered_s', 'sized.hour_s') }} as coverage_ratio,
    {{ ratio('sized.cpu_pct_s', 'sized.cpu_covered_s') }} as cpu_util_pct,
    {{ bound(ratio('sized.cpu_pct_s', 'sized.cpu_covered_s'), 'cast(sized.cpu_pct_variance as double)', -1) }}
        as cpu_util_low,
    {{ bound(ratio('sized.cpu_pct_s', 'sized.cpu_covered_s'), 'cast(sized.cpu_pct_variance as double)', 1) }}
        as cpu_util_high,
    {{ ratio('sized.load_1m_s', 'sized.load_covered_s') }} as load_1m,
    {{ ratio('sized.net_rx_bytes', 'sized.net_covered_s') }} as net_rx_bytes_per_s,
    {{ ratio('sized.net_tx_bytes', 'sized.sent_covered_s') }} as net_tx_bytes_per_s,
    {{ ratio('sized.memory_byte_s', 'sized.memory_covered_s') }} as memory_used_bytes,
    sized.memory_total_bytes,
    cast(sized.hour_s as bigint) as hour_s,
    sized.gpu_covered_s,
    cast(sized.gpu_weighted_pct_s as double) as gpu_weighted_pct_s,
    cast(sized.gpu_swept_pct_s as double) as gpu_swept_pct_s,
    sized.cpu_covered_s,
    cast(sized.cpu_pct_s as double) as cpu_pct_s,
    sized.load_covered_s,
    cast(sized.load_1m_s as double) as load_1m_s,
    sized.net_covered_s,
    cast(sized.net_rx_bytes as double) as net_rx_bytes,
    sized.sent_covered_s,
    cast(sized.net_tx_bytes as double) as net_tx_bytes,
    sized.memory_covered_s,
    cast(sized.memory_byte_s as double) as memory_byte_s,
    case when sized.is_accounted then sized.allocated_mgpu_s / (sized.hour_s * 1000.0) end as gpus_allocated,
    case when sized.is_accounted then {{ gpu_h('sized.allocated_mgpu_s') }} end as allocated_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.active_mgpu_s') }} end as active_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    case when sized.is_accounted then {{ gpu_h('sized.unknown_mgpu_s') }} end as unknown_gpu_h,
    case when sized.is_measured then {{ gpu_h('sized.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    case when sized.is_accounted then {{ gpu_h('sized.over_allocated_mgpu_s') }} end as over_allocated_gpu_h,
    sized.main_job_id
from sized
left join machines
    on sized.cluster_id = machines.cluster_id
        and sized.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'sized.hour_start_at') }}
