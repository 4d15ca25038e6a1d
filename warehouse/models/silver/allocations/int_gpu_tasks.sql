{{ config(materialized='ephemeral') }}

-- Tasks that hold GPUs, by a short key: milli-GPUs of each instance, and of which model where the word names one.
with

tasks as (
    select * from {{ ref('int_tasks') }}
    where gpu_request_count > 0
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
)

select
    {{ row_key(['tasks.cluster_id', 'tasks.job_id', 'tasks.task_id']) }} as task_key,
    cast(round(tasks.gpu_request_count * 1000) as bigint) as held_mgpu,
    aliases.gpu_model
from tasks
left join aliases
    on lower(tasks.gpu_model_source) = lower(aliases.alias)
where round(tasks.gpu_request_count * 1000) > 0
