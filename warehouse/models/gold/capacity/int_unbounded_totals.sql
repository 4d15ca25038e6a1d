{{ config(materialized='ephemeral') }}

-- Attempts without both times in the whole window, also those of no known day and of jobs that the job table lacks; of them
-- those of failed jobs, and what these can have held at the most.
with

spans as (
    select
        cluster_id,
        cast(sum(spans) as bigint) as spans,
        cast(sum(case when {{ is_failed('job_status') }} then spans else 0 end) as bigint) as failed_spans
    from {{ ref('silver_unbounded_spans') }}
    group by cluster_id
),

limits as (
    select * from {{ ref('int_unbounded_limits') }}
    where grouped_by = 'all'
)

select
    spans.cluster_id,
    spans.spans,
    spans.failed_spans,
    {{ gpu_h('limits.failed_limit_mgpu_s') }} as failed_limit_gpu_h
from spans
left join limits
    on spans.cluster_id = limits.cluster_id
