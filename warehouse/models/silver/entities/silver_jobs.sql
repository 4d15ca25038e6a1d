{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

with

jobs as (
    select * from {{ ref('int_jobs') }}
),

requests as (
    select * from {{ ref('int_job_requests') }}
),

starts as (
    select * from {{ ref('int_job_starts') }}
),

tags as (
    select * from {{ ref('int_job_tags') }}
),

statuses as (
    select * from {{ ref('int_status_words') }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
),

days as (
    select * from {{ ref('int_day_quarters') }}
)

select
    jobs.cluster_id,
    jobs.job_id,
    jobs.instance_id,
    jobs.user_id,
    coalesce(statuses.job_status, 'unknown') as job_status,
    jobs.status_source,
    jobs.start_time,
    jobs.end_time,
    jobs.end_time - jobs.start_time as run_time_sec,
    jobs.submitted_at,
    starts.started_at,
    starts.started_by_at,
    starts.last_seen_at,
    {{ was_placed('starts', "coalesce(statuses.job_status, 'unknown')") }} as was_placed,
    jobs.ended_at,
    {{ lasted_s('jobs.submitted_at', 'starts.started_at') }} as wait_s,
    {{ lasted_s('starts.started_at', 'jobs.ended_at') }} as run_s,
    jobs.group_id,
    jobs.queue,
    tags.recurrence_id,
    tags.workload_tag,
    tags.gpu_model_request,
    cast(requests.gpu_request_count as double) as gpu_request_count,
    cast(requests.cpu_request_cores as double) as cpu_request_cores,
    requests.memory_request_bytes,
    requests.is_gpu_request_known,
    requests.n_tasks,
    requests.n_instances,
    coalesce(aliases.gpu_model, requests.gpu_model_source) as gpu_model,
    case when requests.is_gpu_request_known then {{ size_class('requests.gpu_request_count', 'requests.n_tasks') }} end
        as size_class,
    days.dt as submitted_day
from jobs
left join statuses
    on jobs.source = statuses.source
        and jobs.status_source = statuses.status_source
left join requests
    on jobs.cluster_id = requests.cluster_id
        and jobs.job_id = requests.job_id
left join aliases
    on lower(requests.gpu_model_source) = lower(aliases.alias)
left join starts
    on jobs.cluster_id = starts.cluster_id
        and jobs.job_id = starts.job_id
left join tags
    on jobs.cluster_id = tags.cluster_id
        and jobs.instance_id = tags.instance_id
left join days
    on jobs.cluster_id = days.cluster_id
        and {{ quarter_of('jobs.submitted_at') }} = days.quarter
        and jobs.submitted_at >= days.starts_at
        and jobs.submitted_at < days.ends_at
