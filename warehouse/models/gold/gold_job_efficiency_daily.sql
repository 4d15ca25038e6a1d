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
)

select
    held.cluster_id,
    held.dt,
    held.job_id,
    jobs.user_id,
    jobs.job_status,
    {% for name in amounts() -%}
    {{ gpu_h('held.' ~ name ~ '_mgpu_s') }} as {{ name }}_gpu_h,
    {% endfor -%}
    {{ efficiency('held.') }}
from held
left join jobs
    on held.cluster_id = jobs.cluster_id
        and held.job_id = jobs.job_id
