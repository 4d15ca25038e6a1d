{{ config(materialized='ephemeral') }}

-- Failures of groups of jobs in figures, by count and by GPU-hours, of the whole window and of days of submission. GPU-hours
-- are null where the cluster's holdings cannot be told.
with

counted as (
    select
        *,
        case when is_accounted then allocated_mgpu_s end as held_mgpu_s,
        case when is_accounted then status_unknown_mgpu_s end as held_status_unknown_mgpu_s,
        {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} as known_failed,
        case when is_accounted
            then {{ part_of_known('failed_mgpu_s', 'status_unknown_mgpu_s', 'allocated_mgpu_s') }}
        end as known_failed_mgpu_s
    from {{ ref('int_failure_counts') }}
)

select
    cluster_id,
    is_window,
    dt,
    grouped_by,
    value,
    jobs_without_submission,
    jobs_submitted,
    jobs_started,
    {{ part_of_known(
        'jobs_failed + jobs_succeeded + jobs_cancelled + jobs_preempted', 'jobs_status_unknown', 'jobs_submitted'
    ) }} as jobs_finished,
    known_failed as jobs_failed,
    {{ part_of_known('jobs_failed_started', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_failed_started,
    {{ part_of_known('jobs_succeeded', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_succeeded,
    {{ part_of_known('jobs_cancelled', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_cancelled,
    {{ part_of_known('jobs_preempted', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_preempted,
    {{ part_of_known('jobs_unfinished', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_unfinished,
    jobs_status_unknown,
    known_failed / nullif(jobs_submitted, 0) as failed_ratio_of_submitted,
    {{ part_of_known('jobs_failed_started', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_started, 0)
        as failed_ratio_of_started,
    jobs_failed / nullif(jobs_failed + jobs_succeeded + jobs_cancelled + jobs_preempted, 0) as failed_ratio_of_finished,
    held_mgpu_s,
    known_failed_mgpu_s,
    held_status_unknown_mgpu_s,
    {{ gpu_h('held_mgpu_s') }} as allocated_gpu_h,
    {{ gpu_h('known_failed_mgpu_s') }} as failed_gpu_h,
    {{ gpu_h('held_status_unknown_mgpu_s') }} as status_unknown_gpu_h,
    known_failed_mgpu_s / nullif(held_mgpu_s, 0) as failed_gpu_h_ratio,
    case when is_accounted then unbounded_spans end as unbounded_spans,
    case when is_accounted then failed_unbounded_spans end as failed_unbounded_spans
from counted
