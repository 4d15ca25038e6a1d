{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
    where is_shown
),

scores as (
    select scores.*
    from standing
    inner join {{ source('meta', 'hour_scores') }} as scores
        on standing.detector = scores.detector
            and standing.cluster_id = scores.cluster_id
    where scores.machine_id is not null
),

flagged as (
    select
        cluster_id,
        machine_id,
        hour_start_at,
        row_number() over (partition by cluster_id, machine_id order by hour_start_at) as number
    from scores
    where judgement = 'anomaly'
),

-- Flagged hours that follow one another have the same start of a run.
runs as (
    select
        cluster_id,
        machine_id,
        hour_start_at,
        hour_start_at - number * interval 1 hour as run
    from flagged
),

counted as (
    select
        cluster_id,
        machine_id,
        hour_start_at,
        row_number() over (partition by cluster_id, machine_id, run order by hour_start_at) as hours_in_a_row
    from runs
)

select
    scores.cluster_id,
    scores.machine_id,
    scores.dt,
    scores.hour_start_at,
    scores.judgement,
    scores.anomaly_score,
    scores.anomaly_driver,
    scores.seen,
    scores.expected,
    scores.expected_low,
    scores.expected_high,
    scores.anomaly_reason,
    coalesce(counted.hours_in_a_row, 0) as hours_in_a_row
from scores
left join counted
    on scores.cluster_id = counted.cluster_id
        and scores.machine_id = counted.machine_id
        and scores.hour_start_at = counted.hour_start_at
