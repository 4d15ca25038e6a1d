{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
    where is_shown
),

scores as (
    select * from {{ source('meta', 'job_scores') }}
),

jobs as (
    select
        cluster_id,
        job_id,
        user_id,
        allocated_gpu_h
    from {{ ref('gold_jobs') }}
)

select
    scores.cluster_id,
    scores.job_id,
    scores.dt,
    jobs.user_id,
    jobs.allocated_gpu_h,
    scores.judgement,
    scores.anomaly_score,
    scores.anomaly_driver,
    scores.seen,
    scores.expected,
    scores.expected_low,
    scores.expected_high,
    scores.anomaly_reason
from standing
inner join scores
    on standing.detector = scores.detector
        and standing.cluster_id = scores.cluster_id
left join jobs
    on scores.cluster_id = jobs.cluster_id
        and scores.job_id = jobs.job_id
