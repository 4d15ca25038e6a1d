{{ config(materialized='ephemeral') }}

-- Clusters whose holdings can be told: every table that they are read from has landed. Elsewhere amounts are null, not 0.
-- is_measured: whether anything of their use is; where nothing is, active and idle are null too, and all is unknown.
with

figures as (
    select
        cluster_id,
        max(case when column_name = 'allocated_mgpu_s' and not available then 1 else 0 end) = 1 as lacks_allocation,
        max(case when column_name = 'active_mgpu_s' and not available then 1 else 0 end) = 1 as lacks_use
    from {{ ref('gold_availability') }}
    where table_name = 'silver_allocation_days'
    group by cluster_id
)

select
    cluster_id,
    not lacks_use as is_measured
from figures
where not lacks_allocation
