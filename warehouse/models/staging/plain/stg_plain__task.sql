with

jobs as (
    select * from {{ source('bronze', 'bronze_plain_jobs') }}
),

allocations as (
    select * from {{ ref('int_plain__allocation') }}
),

job_held as (
    select * from {{ ref('int_plain__job_held') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- What a job asks for. One that does not say how many GPUs, not even none, has no task of its own: its size is not known.
asked as (
    select
        landings.cluster_id,
        jobs.job_id,
        'job' as task_id,
        jobs.status as status_source,
        1 as instance_count,
        jobs.cpu_request_cores,
        round(jobs.memory_request_bytes) as memory_request_bytes,
        jobs.gpu_request_count,
        jobs.gpu_model_request as gpu_model_source,
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
    where jobs.gpu_request_count is not null
),

-- What an attempt holds on one machine. It asks for nothing beside what its job asks for; where the job does not say, what
-- its first attempt held is what was asked for. Its row as one value is of the same types as a job's.
held as (
    select
        allocations.cluster_id,
        allocations.job_id,
        allocations.machine_attempt_id as task_id,
        allocations.status as status_source,
        case
            when job_held.is_request_known or allocations.attempt_name != job_held.first_attempt_name then 0
            else 1
        end as instance_count,
        cast(null as double) as cpu_request_cores,
        cast(null as double) as memory_request_bytes,
        allocations.held_gpus as gpu_request_count,
        job_held.gpu_model_request as gpu_model_source,
        cast(null as timestamp) as submitted_at,
        cast(null as timestamp) as ended_at,
        {{ row_text([
            'allocations.job_id', 'allocations.started_at', 'allocations.ended_at', 'cast(null as timestamp)', 'allocations.machine_id', 'allocations.attempt_id', 'allocations.status',
            'allocations.gpu_indices', 'allocations.gpu_count', 'allocations.gpu_share_ratio', 'cast(null as double)', 'allocations.gpu_uuids', 'allocations.mig_id',
            'cast(null as varchar)', 'cast(null as varchar)',
        ]) }} as row_text,
        allocations.source,
        allocations.landing_no,
        allocations.landing_id,
        allocations.source_row
    from allocations
    inner join job_held
        on allocations.cluster_id = job_held.cluster_id
            and allocations.job_id = job_held.job_id
    where allocations.held_gpus is not null
)

select * from asked
union all
select * from held
