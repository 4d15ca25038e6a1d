{{ config(materialized='ephemeral') }}

-- What was delivered of jobs, of its cluster, with what its landing's file has of columns, and the row as one value.
with

jobs as (
    select * from {{ source('bronze', 'bronze_plain_jobs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    landings.source,
    landings.landing_no,
    landings.fields,
    jobs.*,
    {{ row_text([
        'jobs.job_id', 'jobs.submitted_at', 'jobs.started_at', 'jobs.ended_at', 'jobs.status', 'jobs.user_id',
        'jobs.group_id', 'jobs.queue', 'jobs.gpu_request_count', 'jobs.cpu_request_cores',
        'jobs.memory_request_bytes', 'jobs.gpu_model_request', 'jobs.machine_id', 'jobs.recurrence_id',
        'jobs.workload_tag',
    ]) }} as row_text
from jobs
inner join landings
    on jobs.landing_id = landings.landing_id
