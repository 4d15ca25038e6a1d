{{ config(materialized='view', schema='meta') }}

-- The prices that count: those of the owner's file where there is one, else the shipped examples. Other names of a GPU
-- model stand for the one that pools have.
with

shipped as (
    select * from {{ ref('price_book') }}
),

own as (
    select * from {{ source('meta', 'prices') }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
),

counting as (
    select
        cluster_id,
        pool,
        valid_from,
        valid_to,
        usd_per_gpu_h,
        label
    from own
    union all
    select
        cluster_id,
        pool,
        valid_from,
        valid_to,
        usd_per_gpu_h,
        label
    from shipped
    where not exists (select 1 from own)
)

select
    nullif(counting.cluster_id, '') as cluster_id,
    coalesce(aliases.gpu_model, counting.pool) as pool,
    counting.valid_from,
    counting.valid_to,
    counting.usd_per_gpu_h,
    counting.label
from counting
left join aliases
    on lower(counting.pool) = lower(aliases.alias)
