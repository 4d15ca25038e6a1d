{{ config(materialized='ephemeral') }}

-- What a machine's windows and its jobs say of an hour, side by side: a machine may have either.
with

used as (
    select * from {{ ref('silver_machine_hours') }}
),

held as (
    select * from {{ ref('silver_allocation_hours') }}
    where machine_id is not null
)

select
    coalesce(used.cluster_id, held.cluster_id) as cluster_id,
    coalesce(used.dt, held.dt) as dt,
    coalesce(used.machine_id, held.machine_id) as machine_id,
    coalesce(used.hour_start_at, held.hour_start_at) as hour_start_at,
    coalesce(used.gpu_covered_s, 0) as gpu_covered_s,
    used.gpu_weighted_pct_s,
    used.gpu_swept_pct_s,
    used.gpu_pct_variance,
    used.gpu_method,
    used.cpu_method,
    coalesce(used.cpu_covered_s, 0) as cpu_covered_s,
    used.cpu_pct_s,
    used.cpu_pct_variance,
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
    coalesce(held.over_allocated_mgpu_s, 0) as over_allocated_mgpu_s,
    held.main_job_id
from used
full outer join held
    on used.cluster_id = held.cluster_id
        and used.dt = held.dt
        and used.machine_id = held.machine_id
        and used.hour_start_at = held.hour_start_at
