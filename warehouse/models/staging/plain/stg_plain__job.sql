with

jobs as (
    select * from {{ source('bronze', 'bronze_plain_jobs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- Tags stand at the job's second id, which plain jobs do not have: their own is taken (stg_plain__group_tag).
select
    landings.cluster_id,
    jobs.job_id,
    jobs.job_id as instance_id,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    jobs.status as status_source,
    {{ seconds_between("timestamp '1970-01-01'", 'jobs.submitted_at') }} as start_time,
    {{ seconds_between("timestamp '1970-01-01'", 'jobs.ended_at') }} as end_time,
    jobs.submitted_at,
    jobs.ended_at,
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
