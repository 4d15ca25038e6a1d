{{ config(materialized='view') }}

with

conflict_rows as (
    select * from {{ ref('conflict_rows') }}
)

select
    entity,
    cluster_id,
    count(*) as losers,
    count(case when is_equal then 1 end) as equal_rows,
    count(case when not is_equal then 1 end) as beaten_rows
from conflict_rows
group by entity, cluster_id
