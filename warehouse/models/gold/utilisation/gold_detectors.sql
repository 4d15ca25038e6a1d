{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
),

scores as (
    select
        detector,
        cluster_id,
        dt,
        anomaly_flag,
        judgement
    from {{ source('meta', 'scores') }}
    union all
    select
        detector,
        cluster_id,
        dt,
        case judgement when 'anomaly' then 1 when 'normal' then 0 end as anomaly_flag,
        judgement
    from {{ source('meta', 'hour_scores') }}
    union all
    select
        detector,
        cluster_id,
        dt,
        case judgement when 'anomaly' then 1 when 'normal' then 0 end as anomaly_flag,
        judgement
    from {{ source('meta', 'job_scores') }}
),

counted as (
    select
        detector,
        cluster_id,
        count(*) as scored_rows,
        count(case when judgement = 'anomaly' then 1 end) as flagged_rows,
        count(case when judgement = 'not_judged' and anomaly_flag = 1 then 1 end) as flagged_not_judged_rows,
        count(case when judgement = 'not_judged' then 1 end) as not_judged_rows
    from scores
    group by
        detector,
        cluster_id
)

select
    standing.detector,
    standing.cluster_id,
    standing.level,
    standing.is_shown,
    standing.note,
    standing.false_alarms,
    coalesce(counted.scored_rows, 0) as scored_rows,
    coalesce(counted.flagged_rows, 0) as flagged_rows,
    coalesce(counted.flagged_not_judged_rows, 0) as flagged_not_judged_rows,
    coalesce(counted.not_judged_rows, 0) as not_judged_rows
from standing
left join counted
    on standing.detector = counted.detector
        and standing.cluster_id = counted.cluster_id
where standing.cluster_id is not null
