{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_touched_days('machine_window') }}",
) }}

with

machines as (
    select * from {{ ref('silver_machines') }}
),

hours as (
    select * from {{ ref('int_measured_hours') }}
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
    hours.sent_covered_s,
    hours.memory_covered_s,
    cast(hours.gpu_pct_us / 1000000 as decimal(18, 6)) as gpu_pct_s,
    cast(hours.gpu_pct_weighted_us / 1000000 as decimal(18, 6)) as gpu_weighted_pct_s,
    cast(hours.cpu_pct_us / 1000000 as decimal(18, 6)) as cpu_pct_s,
    cast(hours.load_us / 1000000 as decimal(38, 6)) as load_1m_s,
    hours.net_byte_s as net_rx_bytes,
    hours.sent_byte_s as net_tx_bytes,
    hours.memory_byte_s,
    hours.memory_total_bytes,
    cast(
        hours.gpu_pct_weighted_us / 1000000 / nullif(hours.gpu_covered_s, 0) / nullif(machines.gpu_count, 0)
        as decimal(18, 6)
    ) as gpu_util_weighted_pct,
    cast(hours.cpu_pct_us / 1000000 / nullif(hours.cpu_covered_s, 0) as decimal(18, 6)) as cpu_util_pct,
    cast(hours.load_us / 1000000 / nullif(hours.load_covered_s, 0) as decimal(18, 6)) as load_1m,
    cast(hours.net_byte_s / nullif(hours.net_covered_s, 0) as decimal(18, 6)) as net_rx_bytes_per_s,
    cast(hours.sent_byte_s / nullif(hours.sent_covered_s, 0) as decimal(18, 6)) as net_tx_bytes_per_s,
    {{ whole('hours.memory_byte_s / nullif(hours.memory_covered_s, 0)') }} as memory_used_bytes,
    case when hours.gpu_covered_s > 0 then hours.gpu_method end as gpu_method,
    case when hours.cpu_covered_s > 0 then hours.cpu_method end as cpu_method,
    cast(hours.gpu_swept_pct_us / 1000000 as decimal(18, 6)) as gpu_swept_pct_s,
    cast(hours.gpu_micro_variance / 1000000 as decimal(18, 6)) as gpu_pct_variance,
    cast(hours.gpu_micro_share / 1000000 as decimal(38, 6)) as gpu_pct_h_variance,
    {{ points('hours.cpu_micro_variance') }} as cpu_pct_variance,
    {{ points('hours.cpu_micro_share') }} as cpu_pct_h_variance,
    {{ fields_of('hours.solution') }}
from hours
left join machines
    on hours.cluster_id = machines.cluster_id
        and hours.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'hours.hour_start_at') }}
