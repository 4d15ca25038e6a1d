{{ config(materialized='table') }}

-- Capacity that nobody could have held: a machine was down or drained, and no job held those GPUs all the same.
with

down as (
    select * from {{ ref('int_machine_down') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
    where pool is not null and pool != 'all'
),

held as (
    select * from {{ ref('silver_allocation_hours') }}
    where cluster_id in (select down.cluster_id from down)
),

unheld as (
    select
        down.*,
        machines.pool,
        machines.gpu_count * 1000 * down.down_s as down_mgpu_s,
        machines.gpu_count * 1000 * {{ valid_seconds('down.starts_at', 'down.ends_at') }}
        - coalesce(held.allocated_mgpu_s, 0) as free_mgpu_s
    from down
    inner join machines
        on down.cluster_id = machines.cluster_id
            and down.machine_id = machines.machine_id
            and {{ is_valid_at('machines', 'down.starts_at') }}
    left join held
        on down.cluster_id = held.cluster_id
            and down.machine_id = held.machine_id
            and down.dt = held.dt
            and down.hour_no = held.hour_no
)

select
    cluster_id,
    dt,
    pool,
    machine_id,
    cast(hour_no as integer) as hour_no,
    starts_at as hour_start_at,
    down_s,
    cast(least(down_mgpu_s, greatest(free_mgpu_s, 0)) as bigint) as down_mgpu_s
from unheld
where down_s > 0
