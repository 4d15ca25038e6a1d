{{ config(materialized='table') }}

-- GPUs × the seconds for which each machine is valid: the one place where capacity is counted. Machines alike count
-- together.
with

kinds as (
    select
        cluster_id,
        pool,
        valid_from,
        valid_to,
        cast(sum(gpu_count) as bigint) as gpus
    from {{ ref('silver_machines') }}
    where pool is not null
    group by cluster_id, pool, valid_from, valid_to
),

day_hours as (
    select
        cluster_id,
        dt,
        starts_at as day_starts_at,
        ends_at as day_ends_at,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('silver_days') }}
),

hours as (
    select
        cluster_id,
        dt,
        hour_no,
        day_starts_at + hour_no * interval 1 hour as starts_at,
        least(day_starts_at + (hour_no + 1) * interval 1 hour, day_ends_at) as ends_at
    from day_hours
)

select
    hours.cluster_id,
    hours.dt,
    kinds.pool,
    cast(hours.hour_no as integer) as hour_no,
    hours.starts_at as hour_start_at,
    cast(sum(kinds.gpus * 1000 * {{ valid_seconds('hours.starts_at', 'hours.ends_at') }}) as bigint) as capacity_mgpu_s
from hours
inner join kinds
    on hours.cluster_id = kinds.cluster_id
group by hours.cluster_id, hours.dt, kinds.pool, hours.hour_no, hours.starts_at
order by
    hours.cluster_id,
    hours.dt
