{{ config(materialized='ephemeral') }}

-- The measurements that stand, each amount where its device can show it. A row speaks of the GPUs of its machine, unless
-- its source says of how many; memory in use is that of the GPUs that its task holds. A lifetime mean has no time of its
-- own, so a machine counts with the most that it ever had.
with

delivered as (
    select * from {{ ref('int_delivered_usages') }}
    where {{ delivered_of_touched_jobs() }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'usage'
),

machines as (
    select
        cluster_id,
        machine_id,
        max(gpu_count) as gpu_count,
        max(cpu_cores) as cpu_cores,
        max(memory_bytes) as memory_bytes,
        case when count(distinct gpu_model) = 1 then max(gpu_model) end as gpu_model
    from {{ ref('silver_machines') }}
    group by cluster_id, machine_id
),

gpu_tasks as (
    select * from {{ ref('int_gpu_tasks') }}
),

specs as (
    select
        gpu_model,
        memory_bytes as bytes_of_a_gpu
    from {{ ref('silver_gpu_specs') }}
),

capable as (
    select
        delivered.*,
        coalesce(delivered.gpu_devices, machines.gpu_count) as gpu_count,
        machines.cpu_cores,
        machines.memory_bytes as machine_memory_bytes,
        specs.bytes_of_a_gpu
        * coalesce(ceil(gpu_tasks.held_mgpu / 1000), delivered.gpu_devices, machines.gpu_count) as gpu_memory_bytes
    from delivered
    left join beaten
        on delivered.landing_id = beaten.landing_id
            and delivered.source_row = beaten.source_row
    left join machines
        on delivered.cluster_id = machines.cluster_id
            and delivered.machine_id = machines.machine_id
    left join gpu_tasks
        on {{ row_key(['delivered.cluster_id', 'delivered.job_id', 'delivered.task_id']) }} = gpu_tasks.task_key
    left join specs
        on coalesce(machines.gpu_model, gpu_tasks.gpu_model) = specs.gpu_model
    where beaten.landing_id is null
)

select
    cluster_id,
    job_id,
    task_id,
    attempt_id,
    machine_id,
    gpu_device,
    gpu_count,
    gpu_memory_bytes,
    measured_from,
    measured_to,
    sample_kind,
    gpu_signal,
    {{ plausible_amounts('usage') }},
    source,
    landing_id,
    landing_no,
    source_row
from capable
