{{ config(materialized='view', meta={'unites': ['instance']}) }}

with

conflict_rows as (
    select * from {{ ref('conflict_rows') }}
),

instance_conflicts as (
    {{ losing_rows('instance') }}
),

losers as (
    select
        entity,
        cluster_id,
        is_equal
    from conflict_rows
    union all
    select
        entity,
        cluster_id,
        is_equal
    from instance_conflicts
)

select
    entity,
    cluster_id,
    count(*) as losers,
    count(case when is_equal then 1 end) as equal_rows,
    count(case when not is_equal then 1 end) as beaten_rows
from losers
group by entity, cluster_id
