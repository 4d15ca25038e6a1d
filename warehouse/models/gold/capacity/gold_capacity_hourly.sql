{{ config(materialized='table') }}

with

hours as (
    select * from {{ ref('int_pool_hours') }}
)

select
    cluster_id,
    dt,
    hour_start_at,
    pool,
    gpu_model,
    {{ gpu_h('capacity_mgpu_s') }} as capacity_gpu_h,
    {{ gpu_h('over_allocated_mgpu_s') }} as over_allocated_gpu_h,
    {{ gpu_h('down_mgpu_s') }} as down_gpu_h,
    {{ gpu_h('(capacity_mgpu_s + over_allocated_mgpu_s - allocated_mgpu_s - coalesce(down_mgpu_s, 0))') }}
        as unallocated_gpu_h,
    {{ gpu_h('allocated_mgpu_s') }} as allocated_gpu_h,
    case when is_measured then {{ gpu_h('active_mgpu_s') }} end as active_gpu_h,
    case when is_measured then {{ gpu_h('idle_held_mgpu_s') }} end as idle_held_gpu_h,
    {{ gpu_h('unknown_mgpu_s') }} as unknown_gpu_h,
    case when is_measured then {{ gpu_h('zero_util_mgpu_s') }} end as zero_util_gpu_h,
    {{ ratio('allocated_mgpu_s', 'capacity_mgpu_s') }} as allocated_ratio,
    {{ efficiency_ratio() }} as efficiency_ratio,
    {{ efficiency_low() }} as efficiency_low,
    {{ efficiency_high() }} as efficiency_high,
    {{ allocation_coverage() }} as allocation_coverage_ratio
from hours
