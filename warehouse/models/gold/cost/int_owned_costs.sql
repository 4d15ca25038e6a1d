{{ config(materialized='ephemeral') }}

-- What each job that held GPUs cost on each day, with its owners. What nobody held is nobody's.
with

costs as (
    select * from {{ ref('gold_cost_daily') }}
    where not is_idle
),

jobs as (
    select * from {{ ref('gold_jobs') }}
)

select
    costs.cluster_id,
    costs.dt,
    jobs.user_id,
    jobs.group_id,
    costs.allocated_gpu_h,
    costs.cost_usd
from costs
left join jobs
    on costs.cluster_id = jobs.cluster_id
        and costs.job_id = jobs.job_id
