{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['dt'],
    pre_hook=["{{ delete_touched_allocations() }}", "{{ keep_join_sides() }}"],
    post_hook="{{ choose_join_sides() }}",
    meta={'unites': ['task', 'instance', 'usage']},
) }}

with

{{ gpu_spans() }},

{{ usage_pieces(touched_jobs_only()) }},

days as (
    {{ numbered_days() }}
),

day_clusters as (
    select distinct
        cluster_id,
        cluster_no
    from days
),

jobs as (
    select
        {{ row_key(['cluster_id', 'job_id']) }} as job_key,
        job_status
    from {{ ref('silver_jobs') }}
    where {{ touched_jobs_only() }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

-- A span without measurements is one piece; else each piece of the usage that falls into it.
measured_spans as (
    select
        spans.cluster_id,
        spans.job_id,
        spans.task_id,
        spans.machine_id,
        spans.instance_hash,
        spans.held_mgpu,
        spans.landing_no,
        spans.source_row,
        day_clusters.cluster_no,
        usage_pieces.sample_kind,
        usage_pieces.gpu_used_count,
        usage_pieces.gpu_mem_used_bytes_mean,
        usage_pieces.gpu_mem_used_bytes_max,
        greatest(spans.start_s, coalesce(usage_pieces.from_s, spans.start_s)) as start_s,
        least(spans.end_s, coalesce(usage_pieces.to_s, spans.end_s)) as end_s
    from spans
    inner join day_clusters
        on spans.cluster_id = day_clusters.cluster_id
    left join usage_pieces
        on spans.measured_key = usage_pieces.measured_key
    where
        greatest(spans.start_s, coalesce(usage_pieces.from_s, spans.start_s))
        < least(spans.end_s, coalesce(usage_pieces.to_s, spans.end_s))
),

{{ cut_at_days('measured_spans', 'days') }},

-- `least` and `greatest` pass over nulls: what is not measured is taken as 0 here, and put right below.
amounts as (
    select
        *,
        held_mgpu * (part_end_s - part_start_s) as allocated_mgpu_s,
        {{ mgpu_s('least(coalesce(gpu_used_count, 0), held_mgpu / 1000.0)', '(part_end_s - part_start_s)') }}
            as active_mgpu_s,
        {{ mgpu_s('greatest(coalesce(gpu_used_count, 0) - held_mgpu / 1000.0, 0)', '(part_end_s - part_start_s)') }}
            as over_use_mgpu_s
    from day_parts
)

select
    amounts.cluster_id,
    amounts.dt,
    amounts.job_id,
    amounts.task_id,
    case when clusters.pools = 'gpu_model' then amounts.machine_id end as machine_id,
    case when clusters.pools = 'all' then 'all' else coalesce(machines.pool, 'unknown machine') end as pool,
    coalesce(jobs.job_status, 'unknown') as job_status,
    amounts.part_start_s as start_s,
    amounts.part_end_s as end_s,
    amounts.part_start_s = amounts.start_s as is_start,
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
left join jobs
    on {{ row_key(['amounts.cluster_id', 'amounts.job_id']) }} = jobs.job_key
