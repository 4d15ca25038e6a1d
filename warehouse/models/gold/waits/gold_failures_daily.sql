{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

select
    cluster_id,
    dt,
    grouped_by,
    value,
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
    unbounded_spans,
    failed_unbounded_spans
from {{ ref('int_failure_figures') }}
where not is_window
