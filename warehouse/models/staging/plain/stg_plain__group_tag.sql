with

jobs as (
    select * from {{ source('bronze', 'bronze_plain_jobs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    jobs.job_id as instance_id,
    jobs.user_id,
    jobs.gpu_model_request,
    jobs.recurrence_id,
    jobs.workload_tag,
    {{ row_text([
        'jobs.job_id', 'jobs.submitted_at', 'jobs.started_at', 'jobs.ended_at', 'jobs.status', 'jobs.user_id',
        'jobs.group_id', 'jobs.queue', 'jobs.gpu_request_count', 'jobs.cpu_request_cores',
        'jobs.memory_request_bytes', 'jobs.gpu_model_request', 'jobs.machine_id', 'jobs.recurrence_id',
        'jobs.workload_tag',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    jobs.landing_id,
    jobs.source_row
from jobs
inner join landings
    on jobs.landing_id = landings.landing_id
where jobs.gpu_model_request is not null or jobs.recurrence_id is not null or jobs.workload_tag is not null
