{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook=["{{ delete_touched_allocations() }}", "{{ keep_join_sides() }}"],
    post_hook="{{ choose_join_sides() }}",
) }}

with

parts as (
    select * from {{ ref('int_span_days') }}
),

jobs as (
    select
        {{ row_key(['cluster_id', 'job_id']) }} as job_key,
        job_status
    from {{ ref('silver_jobs') }}
    where {{ of_touched_jobs() }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

-- `least` and `greatest` pass over nulls: what is not measured is taken as 0 here, and put right below.
amounts as (
    select
        *,
        held_mgpu * (end_s - start_s) as allocated_mgpu_s,
        {{ mgpu_s('least(coalesce(gpu_used_count, 0), held_mgpu / 1000.0)', '(end_s - start_s)') }} as active_mgpu_s,
        {{ mgpu_s('greatest(coalesce(gpu_used_count, 0) - held_mgpu / 1000.0, 0)', '(end_s - start_s)') }} as over_use_mgpu_s
    from parts
)

select
    amounts.cluster_id,
    amounts.dt,
    amounts.job_id,
    amounts.task_id,
    case when clusters.pools = 'gpu_model' then amounts.machine_id end as machine_id,
    case when clusters.pools = 'all' then 'all' else coalesce(machines.pool, 'unknown machine') end as pool,
    coalesce(jobs.job_status, 'unknown') as job_status,
    amounts.start_s,
    amounts.end_s,
    amounts.is_start,
    amounts.held_mgpu,
    amounts.gpu_used_count,
    amounts.sample_kind as usage_kind,
    amounts.gpu_mem_used_bytes_mean,
    amounts.gpu_mem_used_bytes_max,
    amounts.allocated_mgpu_s,
    amounts.active_mgpu_s,
    case when amounts.gpu_used_count is not null then amounts.allocated_mgpu_s - amounts.active_mgpu_s else 0 end
        as idle_held_mgpu_s,
    case when amounts.gpu_used_count is null then amounts.allocated_mgpu_s else 0 end as unknown_mgpu_s,
    amounts.over_use_mgpu_s,
    case when amounts.gpu_used_count = 0 then amounts.allocated_mgpu_s else 0 end as zero_util_mgpu_s,
    amounts.instance_hash,
    amounts.landing_no,
    amounts.source_row
from amounts
inner join clusters
    on amounts.cluster_id = clusters.cluster_id
left join machines
    on amounts.cluster_id = machines.cluster_id
        and amounts.machine_id = machines.machine_id
        and {{ is_valid_at('machines', epoch_to_utc('amounts.start_s')) }}
left join jobs
    on {{ row_key(['amounts.cluster_id', 'amounts.job_id']) }} = jobs.job_key
