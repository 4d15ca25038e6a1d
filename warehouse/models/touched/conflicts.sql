{{ config(materialized='view') }}

with

losers as (
    select
        entity,
        cluster_id,
        is_equal
    from {{ ref('conflict_rows') }}
    union all
    select
        'instance' as entity,
        cluster_id,
        is_equal
    from {{ ref('judged_instances') }}
    where not stands
)

select
    entity,
    cluster_id,
    count(*) as losers,
    count(case when is_equal then 1 end) as equal_rows,
    count(case when not is_equal then 1 end) as beaten_rows
from losers
group by entity, cluster_id
