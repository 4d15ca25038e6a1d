{{ config(materialized='view') }}

with

flagged as (
    select
        cluster_id,
        cast(null as varchar) as machine_id,
        dt,
        hour_start_at,
        anomaly_score,
        anomaly_driver,
        seen,
        expected,
        expected_low,
        expected_high,
        anomaly_reason
    from {{ ref('gold_cluster_hours_scored') }}
    where judgement = 'anomaly'
    union all
    select
        cluster_id,
        machine_id,
        dt,
        hour_start_at,
        anomaly_score,
        anomaly_driver,
        seen,
        expected,
        expected_low,
        expected_high,
        anomaly_reason
    from {{ ref('gold_machine_anomalies') }}
    where judgement = 'anomaly'
),

numbered as (
    select
        *,
        row_number() over (partition by cluster_id, machine_id order by hour_start_at) as number
    from flagged
),

-- Hours that follow one another have the same start of a run.
hours as (
    select
        *,
        hour_start_at - number * interval 1 hour as run
    from numbered
)

select
    cluster_id,
    machine_id,
    min(dt) as dt,
    min(hour_start_at) as start_at,
    max(hour_start_at) + interval 1 hour as end_at,
    count(*) as hours,
    max_by(hour_start_at, (anomaly_score, hour_start_at)) as strangest_hour_at,
    max(anomaly_score) as anomaly_score,
    max_by(anomaly_driver, (anomaly_score, hour_start_at)) as anomaly_driver,
    max_by(seen, (anomaly_score, hour_start_at)) as seen,
    max_by(expected, (anomaly_score, hour_start_at)) as expected,
    max_by(expected_low, (anomaly_score, hour_start_at)) as expected_low,
    max_by(expected_high, (anomaly_score, hour_start_at)) as expected_high,
    max_by(anomaly_reason, (anomaly_score, hour_start_at)) as anomaly_reason
from hours
group by
    cluster_id,
    machine_id,
    run
