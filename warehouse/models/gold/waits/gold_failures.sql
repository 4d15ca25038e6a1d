{{ config(materialized='table') }}

with

figures as (
    select * from {{ ref('int_failure_figures') }}
    where is_window
),

-- The window's alone have bounds, since its end limits them.
bounded as (
    select
        figures.*,
        figures.known_failed_mgpu_s + figures.held_status_unknown_mgpu_s + coalesce(limits.failed_limit_mgpu_s, 0)
            as failed_high_mgpu_s,
        figures.held_mgpu_s - figures.known_failed_mgpu_s + coalesce(limits.other_limit_mgpu_s, 0) as other_high_mgpu_s,
        figures.held_mgpu_s - figures.known_failed_mgpu_s - figures.held_status_unknown_mgpu_s as other_mgpu_s
    from figures
    left join {{ ref('int_unbounded_limits') }} as limits
        on figures.cluster_id = limits.cluster_id
            and figures.grouped_by = limits.grouped_by
            and figures.value is not distinct from limits.value
)

select
    cluster_id,
    grouped_by,
    value,
    jobs_without_submission,
    jobs_submitted,
    jobs_started,
    jobs_finished,
    jobs_failed,
    jobs_failed_started,
    jobs_succeeded,
    jobs_cancelled,
    jobs_preempted,
    jobs_unfinished,
    jobs_status_unknown,
    failed_ratio_of_submitted,
    failed_ratio_of_started,
    failed_ratio_of_finished,
    allocated_gpu_h,
    failed_gpu_h,
    status_unknown_gpu_h,
    failed_gpu_h_ratio,
    {{ gpu_h('failed_high_mgpu_s') }} as failed_gpu_h_high,
    {{ gpu_h('other_high_mgpu_s') }} as other_gpu_h_high,
    {{ ratio('known_failed_mgpu_s', 'known_failed_mgpu_s + other_high_mgpu_s') }} as failed_gpu_h_ratio_low,
    {{ ratio('failed_high_mgpu_s', 'failed_high_mgpu_s + other_mgpu_s') }} as failed_gpu_h_ratio_high,
    unbounded_spans,
    failed_unbounded_spans
from bounded
