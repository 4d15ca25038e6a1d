{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ delete_touched_waits() }}",
) }}

with

dated_jobs as (
    select
        *,
        submitted_day as dt
    from {{ ref('silver_jobs') }}
    where submitted_day is not null
),

jobs as (
    select * from dated_jobs
    where {{ not_yet_here('cluster_id, dt') }}
),

days as (
    select * from {{ ref('silver_days') }}
),

waits as (
    {{ observed_waits('jobs', 'days') }}
),

observed as (
    {{ job_groups('waits') }}
),

{{ wait_figures('observed', ['cluster_id', 'dt', 'grouped_by', 'value']) }}

select
    cluster_id,
    dt,
    grouped_by,
    value,
    jobs_submitted,
    jobs_started,
    jobs_start_unknown,
    jobs_with_wait,
    jobs_never_started,
    jobs_censored,
    jobs_waiting_at_window_end,
    wait_p50_s,
    wait_p90_s,
    wait_p99_s,
    wait_mean_s,
    km_p50_s,
    km_p90_s,
    km_p99_s
from wait_figures
