{{ config(materialized='ephemeral') }}

-- The price of each pool and day, and how many rows of the price book could give one. In a cluster whose days are not
-- calendar days only rows without dates count. Where a cluster has rows of its own for a pool, those of any cluster are
-- not for it: a gap stays a gap.
with

pool_days as (
    select * from {{ ref('silver_pool_days') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

price_book as (
    select
        *,
        nullif(cluster_id, '') as of_cluster_id
    from {{ ref('price_list') }}
    where usd_per_gpu_h >= 0
),

rows_of_pool as (
    select
        pool_days.cluster_id,
        pool_days.dt,
        pool_days.pool,
        price_book.valid_from,
        price_book.valid_to,
        price_book.usd_per_gpu_h,
        price_book.label,
        case when price_book.of_cluster_id is not null then 1 else 0 end as is_own,
        clusters.time_basis = 'real' or (price_book.valid_from is null and price_book.valid_to is null) as is_usable
    from pool_days
    inner join clusters
        on pool_days.cluster_id = clusters.cluster_id
    inner join price_book
        on pool_days.pool = price_book.pool
            and coalesce(price_book.of_cluster_id, pool_days.cluster_id) = pool_days.cluster_id
),

rows_of_day as (
    select
        *,
        is_usable and is_own = max(case when is_usable then is_own end) over (partition by cluster_id, dt, pool)
        and dt >= coalesce(valid_from, dt)
        and (valid_to is null or dt < valid_to) as is_valid
    from rows_of_pool
)

select
    cluster_id,
    dt,
    pool,
    count(case when is_usable then 1 end) as rows_usable,
    count(case when is_valid then 1 end) as rows_valid,
    max(case when is_valid then usd_per_gpu_h end) as usd_per_gpu_h,
    max(case when is_valid then label end) as label
from rows_of_day
group by cluster_id, dt, pool
