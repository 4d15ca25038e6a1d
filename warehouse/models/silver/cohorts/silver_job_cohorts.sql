{{ config(materialized='incremental', pre_hook="{{ delete_touched_cohorts() }}") }}

with

dated_jobs as (
    select
        *,
        submitted_day as dt
    from {{ ref('silver_jobs') }}
),

jobs as (
    select * from dated_jobs
    where {{ of_touched_cohorts() }}
),

held as (
    select
        cluster_id,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s
    from {{ ref('silver_job_days') }}
    where {{ 'true' if is_full_build() else 'job_id in (select job_id from jobs)' }}
    group by cluster_id, job_id
),

unbounded as (
    select
        cluster_id,
        job_id,
        cast(sum(spans) as bigint) as spans
    from {{ ref('silver_unbounded_spans') }}
    where {{ 'true' if is_full_build() else 'job_id in (select job_id from jobs)' }}
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
    cast(sum(held.allocated_mgpu_s) as bigint) as allocated_mgpu_s,
    cast(coalesce(sum(unbounded.spans), 0) as bigint) as unbounded_spans
from jobs
left join held
    on jobs.cluster_id = held.cluster_id
        and jobs.job_id = held.job_id
left join unbounded
    on jobs.cluster_id = unbounded.cluster_id
        and jobs.job_id = unbounded.job_id
group by
    jobs.cluster_id, jobs.dt, jobs.user_id, jobs.group_id, jobs.queue, jobs.gpu_model, jobs.size_class, jobs.job_status
