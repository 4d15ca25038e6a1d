{{ config(materialized='table') }}

with

capacity as (
    select * from {{ ref('gold_capacity_daily') }}
),

pool_days as (
    select
        cluster_id,
        dt,
        pool,
        {{ gpu_h('failed_active_mgpu_s') }} as failed_active_gpu_h
    from {{ ref('silver_pool_days') }}
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
    case when capacity.active_gpu_h is not null then pool_days.failed_active_gpu_h end as failed_active_gpu_h,
    capacity.active_gpu_h - pool_days.failed_active_gpu_h as productive_gpu_h,
    capacity.unbounded_spans,
    capacity.failed_unbounded_spans
from capacity
inner join pool_days
    on capacity.cluster_id = pool_days.cluster_id
        and capacity.dt = pool_days.dt
        and capacity.pool = pool_days.pool
