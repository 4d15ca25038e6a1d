-- Σ jobs + idle = bill, to the cent: what a pool's day costs is its capacity × its price, and each share is within a cent of
-- exact. What jobs are billed for is what they held.
with

capacities as (
    select
        cluster_id,
        dt,
        pool,
        sum(capacity_mgpu_s) as capacity_mgpu_s
    from {{ ref('silver_capacity_hours') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
    having sum(capacity_mgpu_s) > 0
),

held as (
    select
        cluster_id,
        dt,
        pool,
        sum(allocated_mgpu_s) / 3600000.0 as allocated_gpu_h
    from {{ ref('silver_job_days') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
),

billed as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(cost_usd) as double) as cost_usd,
        cast(max(usd_per_gpu_h) as double) as usd_per_gpu_h,
        sum(allocated_gpu_h) as allocated_gpu_h,
        sum(allocated_gpu_h + unallocated_gpu_h) as total_gpu_h,
        count(case when is_idle then 1 end) as idle_rows,
        count(distinct coalesce(price_reason, '')) as reasons
    from {{ ref('gold_cost_daily') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

expected as (
    select
        billed.*,
        case when accounted.cluster_id is not null then capacities.capacity_mgpu_s / 3600000.0 * billed.usd_per_gpu_h end
            as exact_usd,
        coalesce(held.allocated_gpu_h, 0) as held_gpu_h,
        case when capacities.pool is not null then 1 else 0 end as idle_rows_wanted
    from billed
    full outer join capacities
        on billed.cluster_id = capacities.cluster_id
            and billed.dt = capacities.dt
            and billed.pool = capacities.pool
    left join accounted
        on billed.cluster_id = accounted.cluster_id
    left join held
        on billed.cluster_id = held.cluster_id
            and billed.dt = held.dt
            and billed.pool = held.pool
)

select
    expected.cluster_id,
    expected.dt,
    expected.pool,
    'the pool has another bill, or other rows' as broken_law
from expected
where
    expected.cluster_id is null
    or expected.idle_rows != expected.idle_rows_wanted
    or expected.reasons != 1
    or abs(coalesce(expected.cost_usd - expected.exact_usd, 0)) > 0.005001
    or (expected.cost_usd is null) != (expected.exact_usd is null)
    or abs(expected.allocated_gpu_h - expected.held_gpu_h) > 0.000001 * greatest(expected.held_gpu_h, 1)
union all
select
    shares.cluster_id,
    shares.dt,
    shares.pool,
    'a share is a cent or more from its part of the bill' as broken_law
from {{ ref('gold_cost_daily') }} as shares
inner join expected
    on shares.cluster_id = expected.cluster_id
        and shares.dt = expected.dt
        and shares.pool = expected.pool
where
    abs(
        cast(shares.cost_usd as double)
        - expected.cost_usd * (shares.allocated_gpu_h + shares.unallocated_gpu_h) / nullif(expected.total_gpu_h, 0)
    ) > 0.010001
