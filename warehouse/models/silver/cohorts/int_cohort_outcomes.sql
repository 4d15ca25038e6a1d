{{ config(materialized='ephemeral') }}

-- What became of the jobs of a cohort; together the outcomes are all jobs. GPU-hours by outcome, over the jobs' whole lives.
select
    cluster_id,
    dt,
    user_id,
    group_id,
    queue,
    gpu_model,
    size_class,
    jobs,
    placed_jobs,
    case when {{ is_failed('job_status') }} then jobs else 0 end as jobs_failed,
    case when job_status in ('succeeded') then jobs else 0 end as jobs_succeeded,
    case when job_status in ('cancelled') then jobs else 0 end as jobs_cancelled,
    case when job_status in ('preempted') then jobs else 0 end as jobs_preempted,
    case when job_status in ('waiting', 'running') then jobs else 0 end as jobs_unfinished,
    case when job_status in ('unknown') then jobs else 0 end as jobs_status_unknown,
    case when {{ is_failed('job_status') }} then placed_jobs else 0 end as placed_jobs_failed,
    allocated_mgpu_s,
    case when {{ is_failed('job_status') }} then allocated_mgpu_s end as failed_mgpu_s,
    case when job_status = 'unknown' then allocated_mgpu_s end as status_unknown_mgpu_s,
    unbounded_spans,
    case when {{ is_failed('job_status') }} then unbounded_spans else 0 end as failed_unbounded_spans
from {{ ref('silver_job_cohorts') }}
