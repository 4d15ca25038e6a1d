{{ config(materialized='incremental', pre_hook="{{ delete_due_jobs() }}") }}

with

jobs as (
    select
        *,
        is_counted and not lacks_use as is_measured,
        {{ row_key(['cluster_id', 'job_id']) }} as job_key
    from {{ ref('int_jobs_and_totals') }}
),

uses as (
    select * from {{ ref('int_job_uses') }}
),

machines as (
    select * from {{ ref('int_job_machines') }}
),

costs as (
    select * from {{ ref('int_job_costs') }}
),

specs as (
    select * from {{ ref('silver_gpu_specs') }}
)

select
    jobs.cluster_id,
    jobs.job_id,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    jobs.job_status,
    jobs.status_source,
    jobs.submitted_at,
    jobs.started_at,
    jobs.ended_at,
    jobs.submitted_day,
    jobs.wait_s,
    jobs.run_s,
    jobs.gpu_model,
    jobs.size_class,
    case when jobs.job_status not in ('waiting', 'running', 'unknown') then jobs.job_status end as end_reason,
    case when jobs.is_counted then {{ gpu_h('jobs.allocated_mgpu_s') }} end as allocated_gpu_h,
    case when jobs.is_measured then {{ gpu_h('jobs.active_mgpu_s') }} end as active_gpu_h,
    case when jobs.is_measured then {{ gpu_h('jobs.idle_held_mgpu_s') }} end as idle_held_gpu_h,
    case when jobs.is_counted then {{ gpu_h('jobs.unknown_mgpu_s') }} end as unknown_gpu_h,
    case when jobs.is_measured then {{ gpu_h('jobs.over_use_mgpu_s') }} end as over_use_gpu_h,
    case when jobs.is_measured then {{ gpu_h('jobs.zero_util_mgpu_s') }} end as zero_util_gpu_h,
    {{ efficiency_ratio('jobs.') }} as efficiency_ratio,
    {{ efficiency_low('jobs.') }} as efficiency_low,
    {{ efficiency_high('jobs.') }} as efficiency_high,
    {{ allocation_coverage('jobs.') }} as allocation_coverage_ratio,
    case when jobs.is_counted or jobs.unbounded_spans > 0 then jobs.unbounded_spans end as unbounded_spans,
    jobs.gpu_h_reason,
    uses.gpu_mem_used_bytes_mean,
    uses.gpu_mem_used_bytes_max,
    {{ ratio('uses.mem_bytes_of_a_gpu', 'specs.memory_bytes') }} as gpu_mem_ratio,
    uses.mem_bytes_of_a_gpu as gpu_mem_used_bytes_of_a_gpu,
    specs.memory_bytes as gpu_mem_bytes,
    machines.machines_used,
    cast(ceil(jobs.gpu_request_count / nullif(machines.largest_gpu_count, 0)) as bigint) as machines_needed,
    jobs.gpu_request_count,
    uses.gpu_used_count_max,
    case when jobs.gpu_h_reason is null then coalesce(costs.cost_usd, case when costs.job_id is null then 0 end) end
        as cost_usd,
    coalesce(jobs.gpu_h_reason, costs.cost_reason) as cost_reason
from jobs
left join machines
    on jobs.job_key = machines.job_key
left join costs
    on jobs.cluster_id = costs.cluster_id
        and jobs.job_id = costs.job_id
left join uses
    on jobs.job_key = uses.job_key
left join specs
    on jobs.gpu_model = specs.gpu_model
-- The jobs of a user lie together: whoever asks for them, or for one, reads a part of the file.
order by
    jobs.cluster_id,
    jobs.user_id,
    jobs.job_id
