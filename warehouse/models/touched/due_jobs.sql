{% if is_full_build() -%}
-- A full build reads every job, so it names none.
select
    cast(null as varchar) as cluster_id,
    cast(null as varchar) as job_id,
    cast(null as timestamp) as first_seen_at,
    cast(null as timestamp) as last_seen_at,
    true as is_known
where false
{%- else -%}
with

touched_jobs as (
    select * from {{ ref('touched_jobs') }}
),

touched_days as (
    select * from {{ ref('touched_days') }}
    where entity = 'allocation'
),

jobs as (
    select * from {{ ref('silver_jobs') }}
),

job_days as (
    select * from {{ ref('silver_job_days') }}
),

unbounded_spans as (
    select * from {{ ref('silver_unbounded_spans') }}
),

news as (
    select * from {{ ref('clusters_with_news') }}
),

due as (
    select
        cluster_id,
        job_id
    from touched_jobs
    union
    select
        job_days.cluster_id,
        job_days.job_id
    from job_days
    inner join touched_days
        on job_days.cluster_id = touched_days.cluster_id
            and job_days.dt = touched_days.dt
    union
    select
        jobs.cluster_id,
        jobs.job_id
    from jobs
    inner join news
        on jobs.cluster_id = news.cluster_id
    union
    select
        job_days.cluster_id,
        job_days.job_id
    from job_days
    inner join news
        on job_days.cluster_id = news.cluster_id
    union
    select
        unbounded_spans.cluster_id,
        unbounded_spans.job_id
    from unbounded_spans
    inner join news
        on unbounded_spans.cluster_id = news.cluster_id
)

select
    due.cluster_id,
    due.job_id,
    jobs.started_by_at as first_seen_at,
    jobs.last_seen_at,
    jobs.job_id is not null as is_known
from due
left join jobs
    on due.cluster_id = jobs.cluster_id
        and due.job_id = jobs.job_id
{%- endif %}
