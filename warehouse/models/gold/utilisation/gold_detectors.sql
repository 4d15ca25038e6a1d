{{ config(materialized='view') }}

with

scorings as (
    select * from {{ source('meta', 'scorings') }}
),

newest as (
    select max(build_id) as build_id
    from scorings
),

scores as (
    select * from {{ source('meta', 'scores') }}
),

standing as (
    select scorings.*
    from scorings
    inner join newest
        on scorings.build_id = newest.build_id
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
