{{ config(materialized='ephemeral') }}

-- How long jobs waited, per group of the whole window (dt is null) and of days: the naive figures, over the known waits
-- alone, and beside them Kaplan and Meier's.
with

observed as (
    select
        cluster_id,
        dt,
        grouped_by,
        value,
        count(*) as jobs_submitted,
        count(case when was_placed then 1 end) as jobs_started,
        count(case when was_placed and started_at is null then 1 end) as jobs_start_unknown,
        count(case when started_at < submitted_at then 1 end) as jobs_started_before_submission,
        count(wait_s) as jobs_with_wait,
        count(case when not was_placed then 1 end) as jobs_never_started,
        count(case when was_placed is null then 1 end) as jobs_perhaps_started,
        count(censored_s) as jobs_censored,
        count(case when is_open then 1 end) as jobs_waiting_at_window_end,
        count(case when submitted_at is null then 1 end) as jobs_without_submission,
        {{ exact_quantiles('wait_s', [0.5, 0.9, 0.99]) }} as naive_s,
        {{ exact_mean('wait_s') }} as wait_mean_s
    from {{ ref('int_observed_waits') }}
    group by cluster_id, dt, grouped_by, value
),

estimates as (
    select * from {{ ref('int_wait_estimates') }}
)

select
    observed.cluster_id,
    observed.dt,
    observed.grouped_by,
    observed.value,
    observed.jobs_submitted,
    observed.jobs_without_submission,
    observed.jobs_started,
    observed.jobs_start_unknown,
    observed.jobs_started_before_submission,
    observed.jobs_with_wait,
    observed.jobs_never_started,
    observed.jobs_perhaps_started,
    observed.jobs_censored,
    observed.jobs_waiting_at_window_end,
    {{ list_place('observed.naive_s', 1) }} as wait_p50_s,
    {{ list_place('observed.naive_s', 2) }} as wait_p90_s,
    {{ list_place('observed.naive_s', 3) }} as wait_p99_s,
    observed.wait_mean_s,
    estimates.km_p50_s,
    estimates.km_p90_s,
    estimates.km_p99_s
from observed
left join estimates
    on observed.cluster_id = estimates.cluster_id
        and observed.dt is not distinct from estimates.dt
        and observed.grouped_by = estimates.grouped_by
        and observed.value is not distinct from estimates.value
