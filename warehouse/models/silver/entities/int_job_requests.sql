{{ config(materialized='ephemeral') }}

-- What a job asks for, over its tasks; requests are per instance. A job's GPU model is that of its GPU tasks, if it is one.
with

tasks as (
    select
        *,
        case when gpu_request_count > 0 then gpu_model_source end as gpu_task_model
    from {{ ref('int_tasks') }}
)

select
    cluster_id,
    job_id,
    count(*) as n_tasks,
    cast(sum(instance_count) as bigint) as n_instances,
    sum(cast(gpu_request_count * instance_count as decimal(18, 6))) as gpu_request_count,
    sum(cast(cpu_request_cores * instance_count as decimal(18, 6))) as cpu_request_cores,
    cast(sum(memory_request_bytes * instance_count) as bigint) as memory_request_bytes,
    case
        when min(gpu_task_model) = max(gpu_task_model)
            and count(gpu_task_model) = count(case when gpu_request_count > 0 then 1 end) then max(gpu_task_model)
    end as gpu_model_source
from tasks
group by cluster_id, job_id
