{{ config(materialized='incremental', pre_hook="{{ delete_due_waits() }}") }}

select
    cluster_id,
    dt,
    grouped_by,
    value,
    jobs_submitted,
    jobs_started,
    jobs_start_unknown,
    jobs_started_before_submission,
    jobs_with_wait,
    jobs_never_started,
    jobs_perhaps_started,
    jobs_censored,
    jobs_waiting_at_window_end,
    wait_p50_s,
    wait_p90_s,
    wait_p99_s,
    wait_mean_s,
    km_p50_s,
    km_p90_s,
    km_p99_s
from {{ ref('int_wait_figures') }}
where dt is not null
