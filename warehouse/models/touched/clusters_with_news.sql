{{ config(materialized='ephemeral') }}

-- Clusters that get the first rows of a table: they say of every day and job what had not been recorded.
with

landed_tables as (
    select
        cluster_id,
        table_name,
        count(case when {{ pending_only() }} then 1 end) as pending,
        count(*) as landed
    from {{ source('meta', 'landings') }}
    where rows_kept > 0 and cluster_id is not null
    group by cluster_id, table_name
)

select distinct cluster_id
from landed_tables
where pending = landed
