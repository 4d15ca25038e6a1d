{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

with

failures as (
    select * from {{ ref('int_failure_counts') }}
    where dt is not null and {{ of_due_days() }}
)

select
    cluster_id,
    dt,
    grouped_by,
    value,
    jobs_submitted,
    jobs_started,
    {{ part_of_known(
        'jobs_failed + jobs_succeeded + jobs_cancelled + jobs_preempted', 'jobs_status_unknown', 'jobs_submitted'
    ) }} as jobs_finished,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_failed,
    {{ part_of_known('jobs_succeeded', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_succeeded,
    {{ part_of_known('jobs_cancelled', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_cancelled,
    {{ part_of_known('jobs_preempted', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_preempted,
    {{ part_of_known('jobs_unfinished', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_unfinished,
    jobs_status_unknown,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_submitted, 0)
        as failed_ratio_of_submitted,
    {{ part_of_known('jobs_failed_started', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_started, 0)
        as failed_ratio_of_started,
    jobs_failed / nullif(jobs_failed + jobs_succeeded + jobs_cancelled + jobs_preempted, 0) as failed_ratio_of_finished,
    {{ gpu_h('allocated_mgpu_s') }} as allocated_gpu_h,
    {{ part_of_known(gpu_h('failed_mgpu_s'), 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} as failed_gpu_h,
    {{ gpu_h('status_unknown_mgpu_s') }} as status_unknown_gpu_h,
    {{ part_of_known('failed_mgpu_s', 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} / nullif(allocated_mgpu_s, 0)
        as failed_gpu_h_ratio
from failures
