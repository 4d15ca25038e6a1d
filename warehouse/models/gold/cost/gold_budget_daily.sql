{{ config(materialized='view') }}

-- In a cluster whose days are not calendar days there are no months, so no row.
with

clusters as (
    select * from {{ source('meta', 'clusters') }}
    where time_basis = 'real'
),

budgets as (
    select * from {{ ref('budgets') }}
),

-- Each cost under both of its owners: what is compared stands on either side of the join, which then is by hash.
costs as (
    {%- for kind in ['group', 'user'] %}
    select
        cluster_id,
        dt,
        '{{ kind }}' as owner_kind,
        {{ kind }}_id as owner_id,
        allocated_gpu_h,
        cost_usd
    from {{ ref('int_owned_costs') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

days as (
    select distinct
        silver_days.cluster_id,
        silver_days.dt
    from {{ ref('silver_days') }} as silver_days
    inner join clusters
        on silver_days.cluster_id = clusters.cluster_id
),

budget_days as (
    select
        budgets.*,
        days.dt
    from days
    inner join budgets
        on days.cluster_id = budgets.cluster_id
            and days.dt >= coalesce(budgets.valid_from, days.dt)
            and (budgets.valid_to is null or days.dt < budgets.valid_to)
),

spent as (
    select
        budget_days.cluster_id,
        budget_days.owner_kind,
        budget_days.owner,
        budget_days.dt,
        max(budget_days.usd_per_month) as budget_usd,
        sum(case when costs.cost_usd is null then cast(costs.allocated_gpu_h as decimal(18, 6)) else 0 end)
            as unpriced_gpu_h,
        coalesce(sum(costs.cost_usd), 0) as cost_usd
    from budget_days
    left join costs
        on budget_days.cluster_id = costs.cluster_id
            and budget_days.dt = costs.dt
            and budget_days.owner_kind = costs.owner_kind
            and budget_days.owner = costs.owner_id
    group by budget_days.cluster_id, budget_days.owner_kind, budget_days.owner, budget_days.dt
),

month as (
    select
        *,
        sum(cost_usd) over month_so_far as month_cost_usd,
        sum(coalesce(unpriced_gpu_h, 0)) over month_so_far as month_unpriced_gpu_h
    from spent
    window month_so_far as (
        partition by cluster_id, owner_kind, owner, year(dt), month(dt)
        order by dt
    )
)

select
    cluster_id,
    owner_kind,
    owner,
    dt,
    cast(month_cost_usd as decimal(18, 2)) as month_cost_usd,
    cast(budget_usd as decimal(18, 2)) as budget_usd,
    cast(month_unpriced_gpu_h as double) as unpriced_gpu_h,
    cast(month_cost_usd as double) / nullif(cast(budget_usd as double), 0) as spent_ratio
from month
