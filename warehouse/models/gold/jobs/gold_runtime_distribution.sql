{{ config(materialized='table') }}

with

jobs as (
    select * from {{ ref('silver_jobs') }}
),

spread as (
    select
        jobs.cluster_id,
        groupings.grouped_by,
        {{ group_value('groupings.grouped_by', 'jobs') }} as value,
        jobs.job_status,
        count(*) as jobs,
        count(case when jobs.run_s is null then 1 end) as jobs_without_run_s,
        {{ exact_quantiles('jobs.run_s', [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]) }} as quantiles_s,
        {{ exact_mean('jobs.run_s') }} as run_mean_s,
        max(jobs.run_s) as run_max_s
    from jobs
    cross join {{ ref('int_job_groupings') }} as groupings
    group by jobs.cluster_id, groupings.grouped_by, value, jobs.job_status
)

select
    cluster_id,
    grouped_by,
    value,
    job_status,
    jobs,
    jobs_without_run_s,
    {{ list_place('quantiles_s', 1) }} as run_p05_s,
    {{ list_place('quantiles_s', 2) }} as run_p25_s,
    {{ list_place('quantiles_s', 3) }} as run_p50_s,
    {{ list_place('quantiles_s', 4) }} as run_p75_s,
    {{ list_place('quantiles_s', 5) }} as run_p90_s,
    {{ list_place('quantiles_s', 6) }} as run_p95_s,
    {{ list_place('quantiles_s', 7) }} as run_p99_s,
    run_mean_s,
    run_max_s
from spread
