-- Own prices for what is neither a pool of any cluster here nor a known GPU model, or for a cluster that is not here: a slip
-- of the pen that prices nothing is told, and keeps no figure from being published.
{{ config(severity='warn') }}

with

own as (
    select * from {{ source('meta', 'prices') }}
),

known as (
    select pool from {{ ref('silver_pool_days') }}
    union
    select alias as pool from {{ ref('gpu_model_aliases') }}
    union
    select gpu_model as pool from {{ ref('silver_gpu_specs') }}
    union
    select 'all' as pool
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
)

select
    own.pool,
    own.cluster_id,
    own.usd_per_gpu_h,
    case when known.pool is null then 'no pool and no known GPU model' else 'no such cluster' end as fault
from own
left join known
    on own.pool = known.pool
left join clusters
    on own.cluster_id = clusters.cluster_id
where known.pool is null or (own.cluster_id is not null and clusters.cluster_id is null)
