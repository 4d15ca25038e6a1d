with

jobs as (
    select * from {{ ref('int_plain__job') }}
),

allocations as (
    select * from {{ ref('int_plain__allocation') }}
),

job_held as (
    select * from {{ ref('int_plain__job_held') }}
),

-- What a job asks for. One that does not say how many GPUs, not even none, has no task of its own: its size is not known.
asked as (
    select
        cluster_id,
        job_id,
        'job' as task_id,
        status as status_source,
        1 as instance_count,
        cpu_request_cores,
        round(memory_request_bytes) as memory_request_bytes,
        gpu_request_count,
        gpu_model_request as gpu_model_source,
        submitted_at,
        ended_at,
        row_text,
        source,
        landing_no,
        landing_id,
        source_row
    from jobs
    where gpu_request_count is not null
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
