{{ config(materialized='view', meta={'unites': ['task']}) }}

with

tasks as (
    {{ winning_rows('task', [
        'cluster_id', 'job_id', 'task_id', 'status_source', 'instance_count', 'gpu_request_count', 'cpu_request_cores',
        'memory_request_bytes', 'gpu_model_source', 'submitted_at', 'ended_at',
    ]) }}
),

statuses as (
    {{ status_words() }}
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
    on tasks.gpu_model_source = aliases.alias
