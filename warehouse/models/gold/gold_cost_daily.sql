{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    partitioned_by=['dt'],
    pre_hook="{{ delete_due_bills() }}",
) }}

with

-- Every day not here: those that were deleted, to be shared out anew, and new days of the window.
days as (
    select * from {{ ref('silver_days') }}
    where {{ not_yet_here('cluster_id, dt') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

held as (
    select * from {{ ref('silver_job_days') }}
    where {{ of_days('days') }}
),

machine_days as (
    select * from {{ ref('silver_machine_days') }}
    where {{ of_days('days') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

price_book as (
    select * from {{ ref('price_book') }}
),

accounted as (
    {{ accounted_clusters() }}
),

capacities as (
    {{ pool_capacities('days', 'machines') }}
),

pool_days as (
    {{ pool_rests('capacities', 'machine_days') }}
),

prices as (
    {{ prices_of_days('pool_days', 'clusters', 'price_book') }}
),

bills as (
    select
        pool_days.*,
        case when prices.rows_valid = 1 then prices.usd_per_gpu_h end as usd_per_gpu_h,
        case when prices.rows_valid = 1 then prices.label end as price_label,
        accounted.cluster_id is not null as is_accounted,
        {{ price_reason(
            '(accounted.cluster_id is not null)', 'pool_days.capacity_mgpu_s', 'prices.pool', 'prices.rows_usable',
            'prices.rows_valid',
        ) }} as price_reason,
        row_number() over (order by pool_days.cluster_id, pool_days.dt, pool_days.pool) as bill_no
    from pool_days
    left join accounted
        on pool_days.cluster_id = accounted.cluster_id
    left join prices
        on pool_days.cluster_id = prices.cluster_id
            and pool_days.dt = prices.dt
            and pool_days.pool = prices.pool
),

weights as (
    {{ bill_weights('bills', 'held') }}
),

shares as (
    {{ shared_cents('weights') }}
)

select
    bills.cluster_id,
    bills.dt,
    bills.pool,
    shares.job_id,
    shares.is_idle,
    {{ gpu_h('case when shares.is_idle then 0 else shares.weight end') }} as allocated_gpu_h,
    {{ gpu_h('case when shares.is_idle then shares.weight else 0 end') }} as unallocated_gpu_h,
    bills.usd_per_gpu_h,
    cast(cast(shares.cents as bigint) * cast(0.01 as decimal(18, 2)) as decimal(18, 2)) as cost_usd,
    bills.price_label,
    bills.price_reason
from shares
inner join bills
    on shares.bill_no = bills.bill_no
