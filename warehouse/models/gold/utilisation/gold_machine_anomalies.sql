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

-- Every window is of one machine and one judgement, so that who asks for those has the others left unread.
numbered as (
    select
        *,
        row_number() over (partition by cluster_id, machine_id, judgement order by hour_start_at) as number
    from scores
),

-- Hours that follow one another have the same start of a run.
runs as (
    select
        *,
        hour_start_at - number * interval 1 hour as run
    from numbered
),

counted as (
    select
        *,
        row_number() over (partition by cluster_id, machine_id, judgement, run order by hour_start_at) as hours_alike
    from runs
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
    case when judgement = 'anomaly' then hours_alike else 0 end as hours_in_a_row
from counted
