with

jobs as (
    select * from {{ ref('int_slurm__latest') }}
)

-- A job is one task with an instance per node. What it was given is what it holds: a job that has its nodes for itself asks
-- for less. Slurm tells the sum over the nodes only, so each holds the same share of it.
select
    cluster_id,
    job_id,
    'job' as task_id,
    status_source,
    nodes_held as instance_count,
    coalesce(alloc_cpus, req_cpus) / nodes_held as cpu_request_cores,
    coalesce(alloc_memory_bytes, req_memory_bytes) / nodes_held as memory_request_bytes,
    case when alloctres is null then asked_gpus else alloc_gpus end / nodes_held as gpu_request_count,
    coalesce(alloc_gpu_model, req_gpu_model) as gpu_model_source,
    first_submitted_at as submitted_at,
    job_ended_at as ended_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from jobs
