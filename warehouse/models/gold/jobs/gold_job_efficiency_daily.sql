{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

held as (
    select
        cluster_id,
        dt,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s
    from {{ ref('silver_job_days') }}
    where {{ of_due_days() }}
    group by cluster_id, dt, job_id
),

jobs as (
    select * from {{ ref('silver_jobs') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
)

select
    held.cluster_id,
    held.dt,
    held.job_id,
    jobs.user_id,
    jobs.job_status,
    {{ gpu_h('held.allocated_mgpu_s') }} as allocated_gpu_h,
    case when accounted.is_measured then {{ gpu_h('held.active_mgpu_s') }} end as active_gpu_h,
    case when accounted.is_measured then {{ gpu_h('held.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    {{ gpu_h('held.unknown_mgpu_s') }} as unknown_gpu_h,
    case when accounted.is_measured then {{ gpu_h('held.over_use_mgpu_s') }} end as over_use_gpu_h,
    case when accounted.is_measured then {{ gpu_h('held.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    {{ efficiency_ratio('held.') }} as efficiency_ratio,
    {{ efficiency_low('held.') }} as efficiency_low,
    {{ efficiency_high('held.') }} as efficiency_high,
    {{ allocation_coverage('held.') }} as allocation_coverage_ratio
from held
left join accounted
    on held.cluster_id = accounted.cluster_id
left join jobs
    on held.cluster_id = jobs.cluster_id
        and held.job_id = jobs.job_id
-- The days of a job lie together: whoever asks for them reads a part of each file.
order by
    held.cluster_id,
    held.job_id,
    held.dt
