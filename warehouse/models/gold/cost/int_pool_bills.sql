{{ config(materialized='ephemeral') }}

-- A pool's bill of a day is its capacity times the price of the day, in whole cents. What nobody held is billed with what
-- was down. A day without a price, or with several, has no bill, and says why.
with

pool_days as (
    select
        *,
        case when is_described then nullif(capacity_mgpu_s, 0) end as billed_mgpu_s
    from {{ ref('silver_pool_days') }}
),

prices as (
    select * from {{ ref('int_pool_prices') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

priced as (
    select
        pool_days.cluster_id,
        pool_days.dt,
        pool_days.pool,
        pool_days.billed_mgpu_s,
        pool_days.allocated_mgpu_s,
        pool_days.down_mgpu_s,
        case
            when pool_days.billed_mgpu_s is not null
                then pool_days.unallocated_mgpu_s + coalesce(pool_days.down_mgpu_s, 0)
        end as unallocated_mgpu_s,
        accounted.cluster_id is not null as is_accounted,
        accounted.cluster_id is not null and pool_days.unallocated_mgpu_s is not null as has_unallocated,
        case when prices.rows_valid = 1 then prices.usd_per_gpu_h end as usd_per_gpu_h,
        case when prices.rows_valid = 1 then prices.label end as price_label,
        case
            when accounted.cluster_id is null
                then 'what jobs held is not known in this cluster, so its bills cannot be shared out'
            when pool_days.billed_mgpu_s is null
                then 'no machine of this pool is described, so there is no capacity to bill'
            when prices.rows_valid = 1 then null
            when prices.rows_valid > 1
                then 'the price book has ' || cast(prices.rows_valid as varchar) || ' prices for this day'
            when prices.rows_usable > 0 then 'the price book has no price for this day'
            when prices.pool is not null
                then 'the price book has only dated prices for this pool, and days of this cluster are not calendar days'
            else 'the price book has no price for this pool'
        end as price_reason
    from pool_days
    left join accounted
        on pool_days.cluster_id = accounted.cluster_id
    left join prices
        on pool_days.cluster_id = prices.cluster_id
            and pool_days.dt = prices.dt
            and pool_days.pool = prices.pool
)

select
    cluster_id,
    dt,
    pool,
    billed_mgpu_s,
    allocated_mgpu_s,
    down_mgpu_s,
    unallocated_mgpu_s,
    is_accounted,
    has_unallocated,
    usd_per_gpu_h,
    case when is_accounted then cast({{ bill_cents('billed_mgpu_s', 'usd_per_gpu_h') }} as bigint) end as bill_cents,
    price_label,
    price_reason
from priced
