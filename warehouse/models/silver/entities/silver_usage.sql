{{ config(materialized='view') }}

with

usage as (
    select * from {{ ref('int_usage') }}
)

select
    cluster_id,
    job_id,
    task_id,
    attempt_id,
    machine_id,
    gpu_device,
    measured_from,
    measured_to,
    sample_kind,
    gpu_signal,
    gpu_used_count,
    cpu_used_cores,
    memory_used_bytes_mean,
    memory_used_bytes_max,
    gpu_mem_used_bytes_mean,
    gpu_mem_used_bytes_max,
    net_rx_bytes_per_s,
    net_tx_bytes_per_s,
    landing_id,
    source_row
from usage
