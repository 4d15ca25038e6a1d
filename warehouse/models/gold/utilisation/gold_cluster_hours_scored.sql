{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
    where is_shown
),

scores as (
    select * from {{ source('meta', 'hour_scores') }}
    where machine_id is null
)

select
    scores.cluster_id,
    scores.dt,
    scores.hour_start_at,
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
