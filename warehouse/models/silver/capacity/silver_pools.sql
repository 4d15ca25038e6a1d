{{ config(materialized='table') }}

-- The pools of described machines, and those in which anything was held, also if nobody knows for how long.
with

described as (
    select
        cluster_id,
        pool,
        case when count(distinct gpu_model) = 1 and count(*) = count(gpu_model) then max(gpu_model) end as gpu_model
    from {{ ref('silver_machines') }}
    where pool is not null
    group by cluster_id, pool
),

used as (
    select
        cluster_id,
        pool
    from {{ ref('silver_machine_days') }}
    union
    select
        cluster_id,
        pool
    from {{ ref('silver_unbounded_spans') }}
)

select
    coalesce(described.cluster_id, used.cluster_id) as cluster_id,
    coalesce(described.pool, used.pool) as pool,
    described.gpu_model,
    described.pool is not null as is_described
from described
full outer join used
    on described.cluster_id = used.cluster_id
        and described.pool = used.pool
