{{ config(materialized='view') }}

with

capacity as (
    select * from {{ ref('gold_capacity_daily') }}
),

failed as (
    select
        cluster_id,
        dt,
        pool,
        {{ gpu_h('cast(sum(failed_active_mgpu_s) as bigint)') }} as failed_active_gpu_h
    from {{ ref('silver_machine_days') }}
    group by cluster_id, dt, pool
)

select
    capacity.cluster_id,
    capacity.dt,
    capacity.pool,
    capacity.gpu_model,
    capacity.capacity_gpu_h,
    capacity.over_allocated_gpu_h,
    coalesce(capacity.capacity_gpu_h + capacity.over_allocated_gpu_h, capacity.allocated_gpu_h) as total_gpu_h,
    capacity.down_gpu_h,
    capacity.unallocated_gpu_h,
    capacity.unknown_gpu_h,
    capacity.idle_held_gpu_h,
    case when capacity.active_gpu_h is not null then coalesce(failed.failed_active_gpu_h, 0) end as failed_active_gpu_h,
    capacity.active_gpu_h - coalesce(failed.failed_active_gpu_h, 0) as productive_gpu_h
from capacity
left join failed
    on capacity.cluster_id = failed.cluster_id
        and capacity.dt = failed.dt
        and capacity.pool = failed.pool
