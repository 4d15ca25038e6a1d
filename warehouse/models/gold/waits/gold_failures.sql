{{ config(materialized='table') }}

with

failures as (
    select
        cluster_id,
        grouped_by,
        value,
        cast(sum(case when dt is null then jobs_submitted else 0 end) as bigint) as jobs_without_submission,
        cast(sum(jobs_submitted) as bigint) as jobs_submitted,
        cast(sum(jobs_started) as bigint) as jobs_started,
        cast(sum(jobs_failed_started) as bigint) as jobs_failed_started,
        cast(sum(jobs_failed) as bigint) as jobs_failed,
        cast(sum(jobs_succeeded) as bigint) as jobs_succeeded,
        cast(sum(jobs_cancelled) as bigint) as jobs_cancelled,
        cast(sum(jobs_preempted) as bigint) as jobs_preempted,
        cast(sum(jobs_unfinished) as bigint) as jobs_unfinished,
        cast(sum(jobs_status_unknown) as bigint) as jobs_status_unknown,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(failed_mgpu_s) as bigint) as failed_mgpu_s,
        cast(sum(status_unknown_mgpu_s) as bigint) as status_unknown_mgpu_s
    from {{ ref('int_failure_counts') }}
    group by cluster_id, grouped_by, value
)

select
    cluster_id,
    grouped_by,
    value,
    jobs_without_submission,
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
