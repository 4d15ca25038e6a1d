{{ config(materialized='ephemeral') }}

-- What a machine's windows and its jobs say of a day, side by side: a machine may have either.
with

used as (
    select
        cluster_id,
        dt,
        machine_id,
        cast(sum(gpu_covered_s) as bigint) as gpu_covered_s,
        sum(gpu_pct_s) as gpu_pct_s,
        {{ summed_variance('gpu_pct_h_variance', where='gpu_count > 0 and gpu_covered_s > 0') }} as gpu_pct_h_variance,
        cast(min(gpu_method) as varchar) as gpu_method,
        cast(sum(cpu_covered_s) as bigint) as cpu_covered_s,
        sum(cpu_pct_s) as cpu_pct_s,
        {{ summed_variance('cpu_pct_h_variance', where='cpu_covered_s > 0') }} as cpu_pct_h_variance,
        cast(sum(load_covered_s) as bigint) as load_covered_s,
        sum(load_1m_s) as load_1m_s,
        cast(sum(net_covered_s) as bigint) as net_covered_s,
        cast(sum(net_rx_bytes) as double) as net_rx_bytes,
        cast(sum(sent_covered_s) as bigint) as sent_covered_s,
        cast(sum(net_tx_bytes) as double) as net_tx_bytes,
        cast(sum(memory_covered_s) as bigint) as memory_covered_s,
        cast(sum(memory_byte_s) as double) as memory_byte_s,
        max(memory_total_bytes) as memory_total_bytes
    from {{ ref('silver_machine_hours') }}
    where {{ of_due_days() }}
    group by cluster_id, dt, machine_id
),

held as (
    select * from {{ ref('silver_machine_days') }}
    where machine_id is not null and {{ of_due_days() }}
)

select
    coalesce(used.cluster_id, held.cluster_id) as cluster_id,
    coalesce(used.dt, held.dt) as dt,
    coalesce(used.machine_id, held.machine_id) as machine_id,
    coalesce(used.gpu_covered_s, 0) as gpu_covered_s,
    used.gpu_pct_s,
    used.gpu_pct_h_variance,
    used.gpu_method,
    coalesce(used.cpu_covered_s, 0) as cpu_covered_s,
    used.cpu_pct_s,
    used.cpu_pct_h_variance,
    coalesce(used.load_covered_s, 0) as load_covered_s,
    used.load_1m_s,
    coalesce(used.net_covered_s, 0) as net_covered_s,
    used.net_rx_bytes,
    coalesce(used.sent_covered_s, 0) as sent_covered_s,
    used.net_tx_bytes,
    coalesce(used.memory_covered_s, 0) as memory_covered_s,
    used.memory_byte_s,
    used.memory_total_bytes,
    coalesce(held.allocated_mgpu_s, 0) as allocated_mgpu_s,
    coalesce(held.active_mgpu_s, 0) as active_mgpu_s,
    coalesce(held.idle_held_mgpu_s, 0) as idle_held_mgpu_s,
    coalesce(held.unknown_mgpu_s, 0) as unknown_mgpu_s,
    coalesce(held.zero_util_mgpu_s, 0) as zero_util_mgpu_s,
    coalesce(held.over_use_mgpu_s, 0) as over_use_mgpu_s,
    coalesce(held.over_allocated_mgpu_s, 0) as over_allocated_mgpu_s,
    held.main_job_id
from used
full outer join held
    on used.cluster_id = held.cluster_id
        and used.dt = held.dt
        and used.machine_id = held.machine_id
