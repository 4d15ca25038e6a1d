{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
),

scores as (
    select * from {{ source('meta', 'scores') }}
)

select
    scores.detector,
    scores.cluster_id,
    scores.dt,
    standing.is_shown,
    scores.anomaly_flag,
    scores.anomaly_score,
    scores.expected_gpu_util,
    scores.expected_low,
    scores.expected_high,
    scores.expected_allocated_gpu_util,
    scores.expected_allocated_low,
    scores.expected_allocated_high,
    scores.expected_typical_gpu_util,
    scores.expected_typical_low,
    scores.expected_typical_high,
    scores.anomaly_p_value,
    scores.anomaly_driver,
    scores.anomaly_reason,
    scores.judgement
from standing
inner join scores
    on standing.detector = scores.detector
        and standing.cluster_id = scores.cluster_id
