-- Σ hours = Σ machine-days per cluster, day and pool: exact but for the active, which both round. An hour rounds once
-- and is off by half a milli-GPU-second, a part rounds once a day; in each of at most 25 hours a part's use, in
-- billionths of a GPU, is off by 0.0018.
with

hours as (
    select
        cluster_id,
        dt,
        pool,
        count(*) as machine_hours,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_allocation_hours') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
),

machine_days as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(parts) as bigint) as parts,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_machine_days') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
)

select
    coalesce(hours.cluster_id, machine_days.cluster_id) as cluster_id,
    coalesce(hours.dt, machine_days.dt) as dt,
    coalesce(hours.pool, machine_days.pool) as pool,
    hours.allocated_mgpu_s - machine_days.allocated_mgpu_s as allocated_off,
    hours.active_mgpu_s - machine_days.active_mgpu_s as active_off,
    hours.unknown_mgpu_s - machine_days.unknown_mgpu_s as unknown_off,
    hours.zero_util_mgpu_s - machine_days.zero_util_mgpu_s as zero_util_off,
    hours.over_allocated_mgpu_s - machine_days.over_allocated_mgpu_s as over_allocated_off
from hours
full outer join machine_days
    on hours.cluster_id = machine_days.cluster_id
        and hours.dt = machine_days.dt
        and hours.pool = machine_days.pool
where
    hours.dt is null
    or machine_days.dt is null
    or hours.allocated_mgpu_s != machine_days.allocated_mgpu_s
    or hours.unknown_mgpu_s != machine_days.unknown_mgpu_s
    or hours.zero_util_mgpu_s != machine_days.zero_util_mgpu_s
    or hours.over_allocated_mgpu_s is distinct from machine_days.over_allocated_mgpu_s
    or abs(hours.active_mgpu_s - machine_days.active_mgpu_s)
    > 0.5 * hours.machine_hours + 0.55 * machine_days.parts
