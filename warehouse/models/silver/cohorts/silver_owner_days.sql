{{ config(materialized='incremental', pre_hook="{{ delete_touched_days('allocation') }}") }}

with

job_days as (
    select * from {{ ref('silver_job_days') }}
    where {{ of_touched_days('allocation') }}
),

jobs as (
    select
        cluster_id,
        job_id,
        user_id,
        group_id,
        queue,
        job_status
    from {{ ref('silver_jobs') }}
)

select
    job_days.cluster_id,
    job_days.dt,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    cast(sum(job_days.allocated_mgpu_s) as bigint) as allocated_mgpu_s,
    cast(sum(job_days.active_mgpu_s) as bigint) as active_mgpu_s,
    cast(sum(job_days.idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
    cast(sum(job_days.unknown_mgpu_s) as bigint) as unknown_mgpu_s,
    cast(sum(job_days.over_use_mgpu_s) as bigint) as over_use_mgpu_s,
    cast(sum(job_days.zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
    cast(sum(case when {{ is_failed('jobs.job_status') }} then job_days.allocated_mgpu_s else 0 end) as bigint)
        as failed_mgpu_s,
    cast(sum(case when coalesce(jobs.job_status, 'unknown') = 'unknown' then job_days.allocated_mgpu_s else 0 end) as bigint)
        as status_unknown_mgpu_s
from job_days
left join jobs
    on job_days.cluster_id = jobs.cluster_id
        and job_days.job_id = jobs.job_id
group by job_days.cluster_id, job_days.dt, jobs.user_id, jobs.group_id, jobs.queue
