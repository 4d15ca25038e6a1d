{{ config(materialized='ephemeral') }}

-- GPU-holding attempts: one row per attempt with a start, a later end and GPUs, in whole seconds. A second row of an attempt
-- holds its GPUs too, and is not measured: it has no measured_key.
with

instances as (
    select * from {{ ref('int_instances') }}
    where started_at is not null and ended_at is not null
),

gpu_tasks as (
    select * from {{ ref('int_gpu_tasks') }}
)

select
    instances.cluster_id,
    instances.job_id,
    instances.task_id,
    instances.attempt_id,
    {{ row_hash(['instances.task_id', 'instances.instance_id']) }} as instance_hash,
    instances.machine_id,
    {{ utc_to_epoch('instances.started_at') }} as start_s,
    {{ utc_to_epoch('instances.ended_at') }} as end_s,
    gpu_tasks.held_mgpu,
    case when instances.is_measured
        then {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.attempt_id']) }}
    end as measured_key,
    instances.landing_no,
    instances.source_row
from instances
inner join gpu_tasks
    on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
where {{ utc_to_epoch('instances.ended_at') }} > {{ utc_to_epoch('instances.started_at') }}
