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

-- Hours that follow one another have the same start of a run. Few hours are anomalies, and no other is counted.
numbered as (
    select
        *,
        hour_start_at - row_number() over (partition by cluster_id, machine_id order by hour_start_at) * interval 1 hour
            as run
    from scores
    where judgement = 'anomaly'
),

counted as (
    select
        *,
        row_number() over (partition by cluster_id, machine_id, run order by hour_start_at) as hours_in_a_row
    from numbered
    union all
    select
        *,
        cast(null as timestamp) as run,
        0 as hours_in_a_row
    from scores
    where judgement <> 'anomaly' or judgement is null
)

select
    cluster_id,
    machine_id,
    dt,
    hour_start_at,
    judgement,
    anomaly_score,
    anomaly_driver,
    seen,
    expected,
    expected_low,
    expected_high,
    anomaly_reason,
    hours_in_a_row
from counted
