{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

hours as (
    select
        cluster_id,
        dt,
        starts_at,
        day_s,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('silver_days') }}
    where {{ of_due_days() }}
),

capacity as (
    select
        cluster_id,
        hour_start_at,
        cast(sum(capacity_mgpu_s) // 1000 as bigint) as capacity_gpu_s
    from {{ ref('silver_capacity_hours') }}
    where {{ of_due_days() }}
    group by cluster_id, hour_start_at
),

used as (
    select
        cluster_id,
        hour_start_at,
        cast(sum(gpu_covered_s * gpu_count) as bigint) as covered_gpu_s,
        sum(case when gpu_count > 0 then gpu_pct_s end) as gpu_pct_s,
        {{ summed_variance('gpu_pct_variance * (gpu_covered_s * gpu_covered_s)', 'gpu_count > 0 and gpu_covered_s > 0') }}
            / 12960000.0 as gpu_pct_h_variance
    from {{ ref('silver_machine_hours') }}
    where {{ of_due_days() }}
    group by cluster_id, hour_start_at
),

shared as (
    select * from {{ ref('int_covered_days') }}
),

held as (
    select
        cluster_id,
        hour_start_at,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(active_mgpu_s + idle_held_mgpu_s) as bigint) as measured_mgpu_s
    from {{ ref('silver_allocation_hours') }}
    where {{ of_due_days() }}
    group by cluster_id, hour_start_at
)

select
    hours.cluster_id,
    hours.dt,
    cast(hours.hour_no as integer) as hour_no,
    hours.starts_at + hours.hour_no * interval 1 hour as hour_start_at,
    cast(least(3600, hours.day_s - hours.hour_no * 3600) as bigint) as hour_s,
    {{ ratio('used.gpu_pct_s', 'used.covered_gpu_s') }} as avg_gpu_util,
    {{ mean_bound('gpu', -1, of='used.', shared_of='shared.') }} as avg_gpu_util_low,
    {{ mean_bound('gpu', 1, of='used.', shared_of='shared.') }} as avg_gpu_util_high,
    {{ ratio('coalesce(used.covered_gpu_s, 0)', 'capacity.capacity_gpu_s') }} as coverage_ratio,
    {{ ratio('100.0 * held.active_mgpu_s', 'held.measured_mgpu_s') }} as allocated_gpu_util,
    {{ ratio('held.measured_mgpu_s', 'held.allocated_mgpu_s') }} as allocation_coverage_ratio,
    coalesce(used.covered_gpu_s, 0) as covered_gpu_s,
    capacity.capacity_gpu_s,
    cast(used.gpu_pct_s as double) as gpu_pct_s,
    used.gpu_pct_h_variance,
    {{ gpu_h('held.allocated_mgpu_s') }} as allocated_gpu_h,
    {{ gpu_h('held.measured_mgpu_s') }} as measured_gpu_h,
    {{ gpu_h('held.active_mgpu_s') }} as active_gpu_h
from hours
left join capacity
    on hours.cluster_id = capacity.cluster_id
        and hours.starts_at + hours.hour_no * interval 1 hour = capacity.hour_start_at
left join used
    on hours.cluster_id = used.cluster_id
        and hours.starts_at + hours.hour_no * interval 1 hour = used.hour_start_at
left join shared
    on hours.cluster_id = shared.cluster_id
        and hours.dt = shared.dt
left join held
    on hours.cluster_id = held.cluster_id
        and hours.starts_at + hours.hour_no * interval 1 hour = held.hour_start_at
