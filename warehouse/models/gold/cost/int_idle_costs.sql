{{ config(materialized='ephemeral') }}

-- A pool's bill of a day, and what of it is for GPUs that nobody held; of that the part that was down, to the nearest cent.
with

bills as (
    select
        *,
        {{ wide_integer('down_mgpu_s') }} * 2 as twice_down_mgpu_s
    from {{ ref('int_pool_bills') }}
    where billed_mgpu_s is not null and {{ of_due_days() }}
),

idle as (
    select
        *,
        cast(round(cost_usd * 100) as bigint) as idle_cents
    from {{ ref('gold_cost_daily') }}
    where is_idle and {{ of_due_days() }}
),

split as (
    select
        bills.*,
        idle.cost_usd as idle_usd,
        case
            when idle.idle_cents is null then null
            when bills.unallocated_mgpu_s > 0 then
                (bills.twice_down_mgpu_s * idle.idle_cents + bills.unallocated_mgpu_s) // (2 * bills.unallocated_mgpu_s)
            when bills.down_mgpu_s = 0 then 0
        end as down_cents
    from bills
    left join idle
        on bills.cluster_id = idle.cluster_id
            and bills.dt = idle.dt
            and bills.pool = idle.pool
)

select
    cluster_id,
    dt,
    pool,
    usd_per_gpu_h,
    cast(bill_cents * cast(0.01 as decimal(18, 2)) as decimal(18, 2)) as cost_usd,
    cast(down_cents * cast(0.01 as decimal(18, 2)) as decimal(18, 2)) as down_usd,
    cast(idle_usd - coalesce(down_cents, 0) * cast(0.01 as decimal(18, 2)) as decimal(18, 2)) as unallocated_usd,
    price_label,
    price_reason
from split
