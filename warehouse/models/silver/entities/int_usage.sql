{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_usages') }}
    where {{ delivered_of_touched_jobs() }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'usage'
)

select
    delivered.cluster_id,
    delivered.job_id,
    delivered.task_id,
    delivered.attempt_id,
    delivered.machine_id,
    delivered.gpu_device,
    delivered.measured_from,
    delivered.measured_to,
    delivered.sample_kind,
    delivered.gpu_signal,
    delivered.gpu_used_count,
    delivered.cpu_used_cores,
    delivered.memory_used_bytes_mean,
    delivered.memory_used_bytes_max,
    delivered.gpu_mem_used_bytes_mean,
    delivered.gpu_mem_used_bytes_max,
    delivered.net_rx_bytes_per_s,
    delivered.net_tx_bytes_per_s,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
