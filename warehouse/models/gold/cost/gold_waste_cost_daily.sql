{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

with

bills as (
    select * from {{ ref('int_idle_costs') }}
),

waste as (
    select * from {{ ref('gold_waste_daily') }}
    where {{ of_due_days() }}
),

-- The cents that rounding leaves go one each to the largest remainders, as in the bills of jobs.
ranked as (
    select
        *,
        sum(remainder) over (partition by cluster_id, dt, pool) // nullif(allocated_mgpu_s, 0) as cents_left,
        row_number() over (
            partition by cluster_id, dt, pool
            order by remainder desc, part asc
        ) as place
    from {{ ref('int_waste_shares') }}
),

part_cents as (
    select
        *,
        cast(whole_cents + case when place <= cents_left then 1 else 0 end as bigint) as cents
    from ranked
),

part_costs as (
    select
        cluster_id,
        dt,
        pool,
        {%- for part in ['unknown', 'idle_held', 'failed_active', 'productive'] %}
        cast(max(case when part = '{{ part }}' then cents end) * cast(0.01 as decimal(18, 2)) as decimal(18, 2))
            as {{ part }}_usd{{ ',' if not loop.last }}
        {%- endfor %}
    from part_cents
    group by cluster_id, dt, pool
)

select
    bills.cluster_id,
    bills.dt,
    bills.pool,
    bills.usd_per_gpu_h,
    bills.cost_usd,
    bills.down_usd,
    bills.unallocated_usd,
    part_costs.unknown_usd,
    case when waste.idle_held_gpu_h is not null then part_costs.idle_held_usd end as idle_held_usd,
    case when waste.failed_active_gpu_h is not null then part_costs.failed_active_usd end as failed_active_usd,
    case when waste.productive_gpu_h is not null then part_costs.productive_usd end as productive_usd,
    bills.price_label,
    bills.price_reason
from bills
inner join waste
    on bills.cluster_id = waste.cluster_id
        and bills.dt = waste.dt
        and bills.pool = waste.pool
left join part_costs
    on bills.cluster_id = part_costs.cluster_id
        and bills.dt = part_costs.dt
        and bills.pool = part_costs.pool
