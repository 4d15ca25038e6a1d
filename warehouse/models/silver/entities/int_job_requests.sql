{{ config(materialized='ephemeral') }}

-- What a job asks for, over its tasks; requests are per instance. A job's GPU model is that of its GPU tasks, if it is one.
-- Where a task asks for what no machine has, nobody knows how many GPUs its job asks for.
with

tasks as (
    select
        *,
        case when gpu_request_count > 0 then gpu_model_source end as gpu_task_model,
        (gpu_request_count is null) = (delivered_gpu_request_count is null)
        and (instance_count is null) = (delivered_instance_count is null) as is_gpu_request_known
    from {{ ref('int_tasks') }}
)

select
    cluster_id,
    job_id,
    count(*) as n_tasks,
    cast(sum(instance_count) as bigint) as n_instances,
    count(case when not is_gpu_request_known then 1 end) = 0 as is_gpu_request_known,
    case when count(case when not is_gpu_request_known then 1 end) = 0
        then sum(cast(gpu_request_count * instance_count as decimal(18, 6)))
    end as gpu_request_count,
    sum(cast(cpu_request_cores * instance_count as decimal(18, 6))) as cpu_request_cores,
    {{ whole('sum(memory_request_bytes * instance_count)') }} as memory_request_bytes,
    case
        when min(gpu_task_model) = max(gpu_task_model)
            and count(gpu_task_model) = count(case when gpu_request_count > 0 then 1 end) then max(gpu_task_model)
    end as gpu_model_source
from tasks
group by cluster_id, job_id
