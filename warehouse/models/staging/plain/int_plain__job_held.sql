{{ config(materialized='ephemeral') }}

-- Jobs that have allocations, with the attempt that began first, and what the jobs table says that each asks for.
with

allocations as (
    select * from {{ ref('int_plain__allocation') }}
),

jobs as (
    select * from {{ source('bronze', 'bronze_plain_jobs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

asked as (
    select
        landings.cluster_id,
        jobs.job_id,
        {{ last_by('jobs.gpu_request_count', 'landings.landing_no') }} as gpu_request_count,
        {{ last_by('jobs.gpu_model_request', 'landings.landing_no') }} as gpu_model_request
    from jobs
    inner join landings
        on jobs.landing_id = landings.landing_id
    group by landings.cluster_id, jobs.job_id
),

held as (
    select
        cluster_id,
        job_id,
        {{ first_by('attempt_name', "coalesce(started_at, timestamp '9999-12-31')", 'true') }} as first_attempt_name
    from allocations
    group by cluster_id, job_id
)

select
    held.cluster_id,
    held.job_id,
    held.first_attempt_name,
    asked.gpu_request_count is not null as is_request_known,
    asked.gpu_model_request
from held
left join asked
    on held.cluster_id = asked.cluster_id
        and held.job_id = asked.job_id
