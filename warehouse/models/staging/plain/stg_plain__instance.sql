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

-- A job without allocations ran as the jobs table says. Where that table has no started_at, nobody knows whether it did.
whole as (
    select
        jobs.cluster_id,
        jobs.job_id,
        'job' as task_id,
        jobs.job_id as instance_id,
        jobs.job_id as attempt_id,
        jobs.machine_id,
        jobs.status as status_source,
        {{ seconds_between("timestamp '1970-01-01'", 'jobs.started_at') }} as start_s,
        jobs.started_at,
        case when jobs.started_at is not null then jobs.ended_at end as ended_at,
        jobs.row_text,
        jobs.source,
        jobs.landing_no,
        jobs.landing_id,
        jobs.source_row
    from jobs
    left join job_held
        on jobs.cluster_id = job_held.cluster_id
            and jobs.job_id = job_held.job_id
    where
        job_held.job_id is null
        and (
            jobs.started_at is not null
            or jobs.machine_id is not null
            or jobs.fields is null
            or jobs.fields like '%"started_at"%'
        )
),

-- Here too a row as one value is of the same types as a job's.
held as (
    select
        cluster_id,
        job_id,
        machine_attempt_id as task_id,
        machine_id as instance_id,
        machine_attempt_id as attempt_id,
        machine_id,
        status as status_source,
        {{ seconds_between("timestamp '1970-01-01'", 'started_at') }} as start_s,
        started_at,
        case when started_at is not null then ended_at end as ended_at,
        {{ row_text([
            'job_id', 'started_at', 'ended_at', 'cast(null as timestamp)', 'machine_id', 'attempt_id', 'status',
            'gpu_indices', 'gpu_count', 'gpu_share_ratio', 'cast(null as double)', 'gpu_uuids', 'mig_id',
            'cast(null as varchar)', 'cast(null as varchar)',
        ]) }} as row_text,
        source,
        landing_no,
        landing_id,
        source_row
    from allocations
)

select * from whole
union all
select * from held
