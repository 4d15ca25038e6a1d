{{ config(materialized='view') }}

with

spans as (
    select * from {{ ref('int_spans') }}
)

select
    cluster_id,
    job_id,
    task_id,
    attempt_id,
    machine_id,
    gpu_device,
    attribution,
    held_mgpu,
    {{ epoch_to_utc('start_s') }} as started_at,
    {{ epoch_to_utc('end_s') }} as ended_at,
    end_s - start_s as held_s,
    held_mgpu * (end_s - start_s) as allocated_mgpu_s,
    landing_no,
    source_row
from spans
