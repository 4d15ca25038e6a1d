{{ config(materialized='ephemeral') }}

-- GPUs and GPU memory that jobs used, from their parts. The most that a job can have used at once is the sum, over its
-- instances, of the largest use that any attempt of the instance shows: attempts follow each other, instances stand side
-- by side. One instance without a measurement leaves it unknown.
with

instances as (
    select
        {{ row_key(['cluster_id', 'job_id']) }} as job_key,
        instance_hash,
        max(gpu_used_count) as gpu_used_count,
        sum({{ wide_integer('gpu_mem_used_bytes_mean') }} * (end_s - start_s)) as mem_bytes_s,
        sum(case when gpu_mem_used_bytes_mean is not null then end_s - start_s end) as mem_s,
        max(gpu_mem_used_bytes_max) as mem_bytes_max,
        max(gpu_mem_used_bytes_max / greatest(ceil(held_mgpu / 1000), 1)) as mem_bytes_of_a_gpu
    from {{ ref('silver_allocation_days') }}
    where {{ of_due_jobs_on_their_days() }}
    group by job_key, instance_hash
)

select
    job_key,
    case when count(*) = count(gpu_used_count)
        then cast(sum(cast(gpu_used_count as decimal(18, 6))) as double)
    end as gpu_used_count_max,
    {{ whole('sum(mem_bytes_s) / nullif(sum(mem_s), 0)') }} as gpu_mem_used_bytes_mean,
    max(mem_bytes_max) as gpu_mem_used_bytes_max,
    max(mem_bytes_of_a_gpu) as mem_bytes_of_a_gpu
from instances
group by job_key
