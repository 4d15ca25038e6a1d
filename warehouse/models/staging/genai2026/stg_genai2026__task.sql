with

containers as (
    select * from {{ ref('stg_genai2026__instance') }}
)

select
    cluster_id,
    job_id,
    task_id,
    status_source,
    cast(1 as double) as instance_count,
    cast(null as double) as cpu_request_cores,
    cast(null as bigint) as memory_request_bytes,
    cast(1 as double) as gpu_request_count,
    cast(null as varchar) as gpu_model_source,
    cast(null as timestamp) as submitted_at,
    ended_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from containers
