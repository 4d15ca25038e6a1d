{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_touched_cohorts() }}",
) }}

with

dated_jobs as (
    select
        *,
        submitted_day as dt
    from {{ ref('silver_jobs') }}
),

jobs as (
    select * from dated_jobs
    where {{ touched_cohorts_only() }}
),

job_days as (
    select
        cluster_id,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s
    from {{ ref('silver_job_days') }}
    where {{ 'job_id in (select job_id from jobs)' if is_incremental() else 'true' }}
    group by cluster_id, job_id
)

select
    jobs.cluster_id,
    jobs.dt,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    jobs.gpu_model,
    jobs.size_class,
    jobs.job_status,
    count(*) as jobs,
    count(case when jobs.was_placed then 1 end) as placed_jobs,
    cast(sum(job_days.allocated_mgpu_s) as bigint) as allocated_mgpu_s
from jobs
left join job_days
    on jobs.cluster_id = job_days.cluster_id
        and jobs.job_id = job_days.job_id
group by
    jobs.cluster_id, jobs.dt, jobs.user_id, jobs.group_id, jobs.queue, jobs.gpu_model, jobs.size_class, jobs.job_status
