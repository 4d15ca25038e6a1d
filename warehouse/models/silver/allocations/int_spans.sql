{{ config(materialized='ephemeral') }}

-- GPU-holding attempts: one row per attempt with a start, a later end and GPUs, in whole seconds; where its devices are
-- known, one row for each. What is measured of a part of a GPU (MIG) is a share of that part. A second row of an attempt
-- holds its GPUs too, and is not measured: it has no measured_key.
with

instances as (
    select * from {{ ref('int_instances') }}
    where started_at is not null and ended_at is not null
),

gpu_tasks as (
    select * from {{ ref('int_gpu_tasks') }}
),

devices as (
    select * from {{ ref('int_attempt_devices') }}
),

parts as (
    select * from {{ ref('int_gpu_parts') }}
)

select
    instances.cluster_id,
    instances.job_id,
    instances.task_id,
    instances.attempt_id,
    case
        when devices.gpu_device is null then {{ row_hash(['instances.task_id', 'instances.instance_id']) }}
        else {{ row_hash(['instances.task_id', 'instances.instance_id', 'devices.gpu_device']) }}
    end as instance_hash,
    instances.machine_id,
    {{ utc_to_epoch('instances.started_at') }} as start_s,
    {{ utc_to_epoch('instances.ended_at') }} as end_s,
    gpu_tasks.held_mgpu // coalesce(devices.devices, 1) as held_mgpu,
    devices.gpu_device,
    devices.attribution,
    case
        when devices.gpu_device != {{ whole_device('devices.gpu_device') }}
            then greatest(gpu_tasks.held_mgpu // devices.devices, parts.device_mgpu)
    end as part_mgpu,
    case
        when instances.is_measured and devices.gpu_device is null
            then {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.attempt_id']) }}
        when instances.is_measured
            then {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.attempt_id', 'devices.gpu_device']) }}
    end as measured_key,
    instances.landing_no,
    instances.source_row
from instances
inner join gpu_tasks
    on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
left join devices
    on instances.cluster_id = devices.cluster_id
        and instances.job_id = devices.job_id
        and instances.attempt_id = devices.attempt_id
        and instances.machine_id = devices.machine_id
        and gpu_tasks.held_mgpu % devices.devices = 0
left join parts
    on devices.cluster_id = parts.cluster_id
        and devices.machine_id = parts.machine_id
        and devices.gpu_device = parts.gpu_device
where {{ utc_to_epoch('instances.ended_at') }} > {{ utc_to_epoch('instances.started_at') }}
