{{ config(materialized='ephemeral') }}

-- Measured spans cut at the borders of days: one row per span and day that it covers.
with

spans as (
    select * from {{ ref('int_measured_spans') }}
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
),

days as (
    select * from {{ ref('int_days') }}
),

covered_days as (
    select
        spans.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from spans
    inner join quarters as opening
        on spans.cluster_no * 1000000000 + spans.start_s // 900 = opening.quarter_key
            and spans.start_s >= opening.starts_s
            and spans.start_s < opening.ends_s
    inner join quarters as closing
        on spans.cluster_no * 1000000000 + (spans.end_s - 1) // 900 = closing.quarter_key
            and spans.end_s > closing.starts_s
            and spans.end_s <= closing.ends_s
)

select
    covered_days.cluster_id,
    days.dt,
    covered_days.job_id,
    covered_days.task_id,
    covered_days.machine_id,
    covered_days.instance_hash,
    greatest(covered_days.start_s, days.starts_s) as start_s,
    least(covered_days.end_s, days.ends_s) as end_s,
    covered_days.start_s >= days.starts_s as is_start,
    covered_days.held_mgpu,
    covered_days.gpu_used_count,
    covered_days.sample_kind,
    covered_days.gpu_mem_used_bytes_mean,
    covered_days.gpu_mem_used_bytes_max,
    covered_days.landing_no,
    covered_days.source_row
from covered_days
inner join days
    on covered_days.day_no = days.day_no
