{{ config(materialized='view') }}

with

jobs as (
    select * from {{ ref('silver_jobs') }}
),

grouped as (
    {{ job_groups('jobs') }}
),

spread as (
    select
        cluster_id,
        grouped_by,
        value,
        job_status,
        count(*) as jobs,
        count(case when run_s is null then 1 end) as jobs_without_run_s,
        {{ exact_quantiles('run_s', [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]) }} as quantiles,
        {{ exact_mean('run_s') }} as run_mean_s,
        max(run_s) as run_max_s
    from grouped
    group by cluster_id, grouped_by, value, job_status
)

select
    cluster_id,
    grouped_by,
    value,
    job_status,
    jobs,
    jobs_without_run_s,
    {% for name in ['p05', 'p25', 'p50', 'p75', 'p90', 'p95', 'p99'] -%}
    {{ list_place('quantiles', loop.index) }} as run_{{ name }}_s,
    {% endfor -%}
    run_mean_s,
    run_max_s
from spread
