{{ config(materialized='view') }}

with

held as (
    select
        cluster_id,
        dt,
        job_id,
        {{ amount_sums() }}
    from {{ ref('silver_job_days') }}
    group by cluster_id, dt, job_id
),

jobs as (
    select * from {{ ref('silver_jobs') }}
),

accounted as (
    {{ accounted_clusters() }}
),

joined as (
    select
        held.*,
        accounted.is_measured,
        jobs.user_id,
        jobs.job_status
    from held
    left join accounted
        on held.cluster_id = accounted.cluster_id
    left join jobs
        on held.cluster_id = jobs.cluster_id
            and held.job_id = jobs.job_id
)

select
    cluster_id,
    dt,
    job_id,
    user_id,
    job_status,
    {% for name in amounts() -%}
    {{ published_gpu_h(name) }},
    {% endfor -%}
    {{ efficiency() }}
from joined
