{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

with

owners as (
    select
        cluster_id,
        dt,
        group_id,
        queue,
        is_measured,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(failed_mgpu_s) as bigint) as failed_mgpu_s,
        cast(sum(status_unknown_mgpu_s) as bigint) as status_unknown_mgpu_s,
        cast(sum(unbounded_spans) as bigint) as unbounded_spans,
        cast(sum(failed_unbounded_spans) as bigint) as failed_unbounded_spans,
        cast(sum(jobs_submitted) as bigint) as jobs_submitted,
        cast(sum(jobs_failed) as bigint) as jobs_failed,
        cast(sum(jobs_succeeded) as bigint) as jobs_succeeded,
        cast(sum(jobs_cancelled) as bigint) as jobs_cancelled,
        cast(sum(jobs_preempted) as bigint) as jobs_preempted,
        cast(sum(jobs_unfinished) as bigint) as jobs_unfinished,
        cast(sum(jobs_status_unknown) as bigint) as jobs_status_unknown
    from {{ ref('int_owner_days') }}
    group by cluster_id, dt, group_id, queue, is_measured
)

select
    cluster_id,
    dt,
    group_id,
    queue,
    {{ gpu_h('allocated_mgpu_s') }} as allocated_gpu_h,
    case when is_measured then {{ gpu_h('active_mgpu_s') }} end as active_gpu_h,
    case when is_measured then {{ gpu_h('idle_held_mgpu_s') }} end as idle_held_gpu_h,
    {{ gpu_h('unknown_mgpu_s') }} as unknown_gpu_h,
    case when is_measured then {{ gpu_h('over_use_mgpu_s') }} end as over_use_gpu_h,
    case when is_measured then {{ gpu_h('zero_util_mgpu_s') }} end as zero_util_gpu_h,
    {{ efficiency_ratio() }} as efficiency_ratio,
    {{ efficiency_low() }} as efficiency_low,
    {{ efficiency_high() }} as efficiency_high,
    {{ allocation_coverage() }} as allocation_coverage_ratio,
    {{ part_of_known(gpu_h('failed_mgpu_s'), 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} as failed_gpu_h,
    {{ gpu_h('status_unknown_mgpu_s') }} as status_unknown_gpu_h,
    {{ part_of_known('failed_mgpu_s', 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} / nullif(allocated_mgpu_s, 0)
        as failed_gpu_h_ratio,
    unbounded_spans,
    failed_unbounded_spans,
    jobs_submitted,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_failed,
    {{ part_of_known('jobs_succeeded', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_succeeded,
    {{ part_of_known('jobs_cancelled', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_cancelled,
    {{ part_of_known('jobs_preempted', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_preempted,
    {{ part_of_known('jobs_unfinished', 'jobs_status_unknown', 'jobs_submitted') }} as jobs_unfinished,
    jobs_status_unknown,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_submitted, 0)
        as failed_ratio_of_submitted,
    case when coalesce(group_id, queue) is not null and allocated_mgpu_s is not null then
        row_number() over (
            partition by cluster_id, dt, coalesce(group_id, queue) is not null
            order by allocated_mgpu_s desc, group_id asc, queue asc
        )
    end as rank
from owners
