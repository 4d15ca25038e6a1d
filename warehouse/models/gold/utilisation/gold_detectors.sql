{{ config(materialized='view') }}

with

standing as (
    select * from {{ ref('int_standing_scorings') }}
),

scores as (
    select * from {{ source('meta', 'scores') }}
),

counted as (
    select
        build_id,
        detector,
        cluster_id,
        count(*) as scored_days,
        count(case when judgement = 'anomaly' then 1 end) as flagged_days,
        count(case when judgement = 'not_judged' and anomaly_flag = 1 then 1 end) as flagged_not_judged_days,
        count(case when judgement = 'not_judged' then 1 end) as not_judged_days
    from scores
    group by
        build_id,
        detector,
        cluster_id
)

select
    standing.detector,
    standing.cluster_id,
    standing.detector = '{{ var("scored_by") }}' as is_first,
    standing.note,
    counted.scored_days,
    counted.flagged_days,
    counted.flagged_not_judged_days,
    counted.not_judged_days
from standing
inner join counted
    on standing.scored_build_id = counted.build_id
        and standing.detector = counted.detector
        and standing.cluster_id = counted.cluster_id
