{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ delete_due_jobs() }}",
) }}

{%- set due_days_only = within_due_days() %}

with

jobs as (
    select * from {{ ref('silver_jobs') }}
    where {{ due_jobs_only() }}
),

job_days as (
    select * from {{ ref('silver_job_days') }}
    where {{ due_jobs_only() }} and {{ due_days_only }}
),

unbounded as (
    select * from {{ ref('silver_unbounded_spans') }}
    where {{ due_jobs_only() }}
),

parts as {{ inlined() }} (
    select * from {{ ref('silver_allocation_days') }}
    where {{ due_jobs_only() }} and {{ due_days_only }}
),

cost_days as (
    select * from {{ ref('gold_cost_daily') }}
    where {{ due_jobs_only() }} and {{ due_days_only }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

specs as (
    select * from {{ ref('silver_gpu_specs') }}
),

availability as (
    select * from {{ ref('gold_availability') }}
),

uses as (
    {{ job_uses('parts') }}
),

machines_of_jobs as (
    {{ job_machines('parts', 'machines') }}
),

totals as (
    {{ job_totals('job_days', 'unbounded') }}
),

costs as (
    {{ job_costs('cost_days') }}
),

lacking as (
    {{ lacking_figures('availability') }}
),

all_jobs as (
    {{ jobs_and_totals('jobs', 'totals', 'lacking') }}
)

select
    {% for column in ['cluster_id', 'job_id', 'user_id', 'group_id', 'queue', 'job_status', 'status_source', 'submitted_at',
                      'started_at', 'ended_at', 'submitted_day', 'wait_s', 'run_s', 'gpu_model', 'size_class'] -%}
    all_jobs.{{ column }},
    {% endfor -%}
    case when all_jobs.job_status not in ('waiting', 'running', 'unknown') then all_jobs.job_status end as end_reason,
    {% for name in amounts() -%}
    case when all_jobs.is_counted{{ ' and not all_jobs.lacks_use' if name not in ['allocated', 'unknown'] }}
        then {{ gpu_h('all_jobs.' ~ name ~ '_mgpu_s') }}
    end as {{ name }}_gpu_h,
    {% endfor -%}
    {{ ratio('all_jobs.active_mgpu_s', 'all_jobs.allocated_mgpu_s - all_jobs.unknown_mgpu_s') }} as efficiency_ratio,
    {{ ratio('all_jobs.active_mgpu_s', 'all_jobs.allocated_mgpu_s') }} as efficiency_low,
    {{ ratio('all_jobs.active_mgpu_s + all_jobs.unknown_mgpu_s', 'all_jobs.allocated_mgpu_s') }} as efficiency_high,
    {{ ratio('all_jobs.allocated_mgpu_s - all_jobs.unknown_mgpu_s', 'all_jobs.allocated_mgpu_s') }} as coverage_ratio,
    case when all_jobs.is_counted then all_jobs.spans_found end as unbounded_spans,
    uses.gpu_mem_used_bytes_mean,
    uses.gpu_mem_used_bytes_max,
    uses.mem_bytes_of_a_gpu / specs.memory_bytes as gpu_mem_ratio,
    machines_of_jobs.machines_used,
    cast(ceil(all_jobs.gpu_request_count / nullif(machines_of_jobs.largest_gpu_count, 0)) as bigint) as machines_needed,
    all_jobs.gpu_request_count,
    uses.gpu_used_count_max,
    case when all_jobs.is_counted then coalesce(costs.cost_usd, case when costs.job_id is null then 0 end) end as cost_usd,
    case when all_jobs.is_counted then costs.cost_reason else 'what the job held is not known' end as cost_reason
from all_jobs
left join machines_of_jobs
    on {{ row_key(['all_jobs.cluster_id', 'all_jobs.job_id']) }} = machines_of_jobs.job_key
left join costs
    on all_jobs.cluster_id = costs.cluster_id
        and all_jobs.job_id = costs.job_id
left join uses
    on {{ row_key(['all_jobs.cluster_id', 'all_jobs.job_id']) }} = uses.job_key
left join specs
    on all_jobs.gpu_model = specs.gpu_model
