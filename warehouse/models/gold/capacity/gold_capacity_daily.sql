{{ config(materialized='table') }}

with

pool_days as (
    select * from {{ ref('silver_pool_days') }}
),

accounted_clusters as (
    select * from {{ ref('int_accounted_clusters') }}
),

unbounded as (
    select * from {{ ref('int_unbounded_days') }}
),

-- The same days, of the clusters where it can be told what jobs held. Of all others what was held is null, not 0.
held as (
    select
        pool_days.*,
        accounted_clusters.is_measured
    from pool_days
    inner join accounted_clusters
        on pool_days.cluster_id = accounted_clusters.cluster_id
)

select
    pool_days.cluster_id,
    pool_days.dt,
    pool_days.pool,
    pool_days.gpu_model,
    {{ gpu_h('pool_days.capacity_mgpu_s') }} as capacity_gpu_h,
    {{ gpu_h('held.over_allocated_mgpu_s') }} as over_allocated_gpu_h,
    {{ gpu_h('held.down_mgpu_s') }} as down_gpu_h,
    {{ gpu_h('held.unallocated_mgpu_s') }} as unallocated_gpu_h,
    {{ gpu_h('held.allocated_mgpu_s') }} as allocated_gpu_h,
    case when held.is_measured then {{ gpu_h('held.active_mgpu_s') }} end as active_gpu_h,
    case when held.is_measured then {{ gpu_h('held.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    {{ gpu_h('held.unknown_mgpu_s') }} as unknown_gpu_h,
    case when held.is_measured then {{ gpu_h('held.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    case when held.is_measured then {{ gpu_h('held.over_use_mgpu_s') }} end as over_use_gpu_h,
    {{ ratio('held.allocated_mgpu_s', 'held.capacity_mgpu_s') }} as allocated_ratio,
    {{ efficiency_ratio('held.') }} as efficiency_ratio,
    {{ efficiency_low('held.') }} as efficiency_low,
    {{ efficiency_high('held.') }} as efficiency_high,
    {{ allocation_coverage('held.') }} as allocation_coverage_ratio,
    case when held.cluster_id is not null then unbounded.unbounded_spans end as unbounded_spans,
    case when held.cluster_id is not null then unbounded.failed_unbounded_spans end as failed_unbounded_spans,
    -- At the most the capacity. Of machines that nobody describes it is not known: only that nothing ran can be told.
    case when held.pool != 'unknown machine' or unbounded.running_mgpu_s = 0
        then {{ gpu_h('least(unbounded.running_mgpu_s, held.capacity_mgpu_s)') }}
    end as unbounded_running_gpu_h
from pool_days
left join held
    on pool_days.cluster_id = held.cluster_id
        and pool_days.dt = held.dt
        and pool_days.pool = held.pool
left join unbounded
    on pool_days.cluster_id = unbounded.cluster_id
        and pool_days.dt = unbounded.dt
        and pool_days.pool = unbounded.pool
