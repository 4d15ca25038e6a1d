{{ config(materialized='view') }}

with

tasks as (
    select * from {{ ref('int_tasks') }}
),

statuses as (
    select * from {{ ref('int_status_words') }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
)

select
    tasks.cluster_id,
    tasks.job_id,
    tasks.task_id,
    coalesce(statuses.job_status, 'unknown') as task_status,
    tasks.status_source,
    tasks.instance_count,
    tasks.gpu_request_count,
    tasks.cpu_request_cores,
    tasks.memory_request_bytes,
    aliases.gpu_model,
    tasks.gpu_model_source,
    tasks.submitted_at,
    tasks.ended_at,
    tasks.landing_id,
    tasks.source_row
from tasks
left join statuses
    on tasks.source = statuses.source
        and tasks.status_source = statuses.status_source
left join aliases
    on lower(tasks.gpu_model_source) = lower(aliases.alias)
