{{ config(materialized='ephemeral') }}

-- Tasks that hold GPUs, by a short key: milli-GPUs of each instance.
with

tasks as (
    select * from {{ ref('int_tasks') }}
    where gpu_request_count > 0 and {{ is_a_count('gpu_request_count') }}
)

select
    {{ row_key(['cluster_id', 'job_id', 'task_id']) }} as task_key,
    cast(round(gpu_request_count * 1000) as bigint) as held_mgpu
from tasks
where round(gpu_request_count * 1000) > 0
