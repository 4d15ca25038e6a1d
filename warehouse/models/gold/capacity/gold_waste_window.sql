{{ config(materialized='table') }}

with

waste as (
    select * from {{ ref('gold_waste_daily') }}
),

capacity as (
    select * from {{ ref('gold_capacity_daily') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

unbounded as (
    select * from {{ ref('int_unbounded_totals') }}
),

-- Doubles summed in any order would differ in their last digits from read to read.
summed as (
    select
        waste.cluster_id,
        sum(cast(waste.total_gpu_h as decimal(28, 12))) as total_gpu_h,
        sum(cast(capacity.allocated_gpu_h as decimal(28, 12))) as allocated_gpu_h,
        sum(cast(waste.over_allocated_gpu_h as decimal(28, 12))) as over_allocated_gpu_h,
        sum(cast(waste.down_gpu_h as decimal(28, 12))) as down_gpu_h,
        sum(cast(waste.unallocated_gpu_h as decimal(28, 12))) as unallocated_gpu_h,
        sum(cast(waste.unknown_gpu_h as decimal(28, 12))) as unknown_gpu_h,
        sum(cast(waste.idle_held_gpu_h as decimal(28, 12))) as idle_held_gpu_h,
        sum(cast(waste.failed_active_gpu_h as decimal(28, 12))) as failed_active_gpu_h,
        sum(cast(waste.productive_gpu_h as decimal(28, 12))) as productive_gpu_h,
        sum(cast(capacity.active_gpu_h as decimal(28, 12))) as active_gpu_h
    from waste
    inner join capacity
        on waste.cluster_id = capacity.cluster_id
            and waste.dt = capacity.dt
            and waste.pool = capacity.pool
    group by waste.cluster_id
),

told as (
    select
        summed.*,
        clusters.pools <> 'all' and summed.unallocated_gpu_h is not null as starts_at_capacity,
        case
            when clusters.pools <> 'all' and summed.unallocated_gpu_h is not null then summed.total_gpu_h
            else summed.allocated_gpu_h
        end as starts_at_gpu_h,
        coalesce(unbounded.spans, 0) as unbounded_spans,
        coalesce(unbounded.failed_spans, 0) as failed_unbounded_spans,
        coalesce(unbounded.failed_limit_gpu_h, 0) as failed_unbounded_gpu_h_high
    from summed
    inner join clusters
        on summed.cluster_id = clusters.cluster_id
    left join unbounded
        on summed.cluster_id = unbounded.cluster_id
    where summed.allocated_gpu_h is not null
)

select
    cluster_id,
    starts_at_capacity,
    cast(starts_at_gpu_h as double) as starts_at_gpu_h,
    cast(total_gpu_h as double) as total_gpu_h,
    cast(allocated_gpu_h as double) as allocated_gpu_h,
    cast(over_allocated_gpu_h as double) as over_allocated_gpu_h,
    cast(down_gpu_h as double) as down_gpu_h,
    cast(unallocated_gpu_h as double) as unallocated_gpu_h,
    cast(unknown_gpu_h as double) as unknown_gpu_h,
    cast(idle_held_gpu_h as double) as idle_held_gpu_h,
    cast(failed_active_gpu_h as double) as failed_active_gpu_h,
    cast(productive_gpu_h as double) as productive_gpu_h,
    cast(active_gpu_h as double) as active_gpu_h,
    cast(coalesce(active_gpu_h + idle_held_gpu_h, 0) as double) as measured_gpu_h,
    case when starts_at_capacity then cast(down_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) end
        as down_ratio,
    case when starts_at_capacity then cast(unallocated_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) end
        as unallocated_ratio,
    cast(unknown_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) as unknown_ratio,
    cast(idle_held_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) as idle_held_ratio,
    cast(failed_active_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) as failed_active_ratio,
    cast(productive_gpu_h as double) / cast(nullif(starts_at_gpu_h, 0) as double) as productive_ratio,
    cast(active_gpu_h as double) / cast(nullif(active_gpu_h + idle_held_gpu_h, 0) as double) as efficiency_ratio,
    measured_gpu_h / cast(nullif(allocated_gpu_h, 0) as double) as allocation_coverage_ratio,
    unbounded_spans,
    failed_unbounded_spans,
    failed_unbounded_gpu_h_high
from told
