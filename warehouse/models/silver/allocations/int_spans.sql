{{ config(materialized='ephemeral') }}

-- GPU-holding attempts: one row per attempt with a start, a later end and GPUs, in whole seconds; where its devices are
-- known and share its GPUs out evenly, one row for each. What is measured of a part of a GPU (MIG) is a share of that part.
-- A second row of an attempt holds its GPUs too, and is not measured: it has no measured_key.
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
),

counted as (
    select distinct
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        devices
    from devices
),

held as (
    select
        instances.*,
        gpu_tasks.held_mgpu,
        case when gpu_tasks.held_mgpu % counted.devices = 0 then counted.attempt_id end as shared_attempt_id
    from instances
    inner join gpu_tasks
        on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
    left join counted
        on instances.cluster_id = counted.cluster_id
            and instances.job_id = counted.job_id
            and instances.attempt_id = counted.attempt_id
            and instances.machine_id = counted.machine_id
    where {{ utc_to_epoch('instances.ended_at') }} > {{ utc_to_epoch('instances.started_at') }}
)

select
    held.cluster_id,
    held.job_id,
    held.task_id,
    held.attempt_id,
    case
        when devices.gpu_device is null then {{ row_hash(['held.task_id', 'held.instance_id']) }}
        else {{ row_hash(['held.task_id', 'held.instance_id', 'devices.gpu_device']) }}
    end as instance_hash,
    held.machine_id,
    {{ utc_to_epoch('held.started_at') }} as start_s,
    {{ utc_to_epoch('held.ended_at') }} as end_s,
    held.held_mgpu // coalesce(devices.devices, 1) as held_mgpu,
    devices.gpu_device,
    devices.attribution,
    case
        when devices.gpu_device != {{ whole_device('devices.gpu_device') }}
            then greatest(held.held_mgpu // devices.devices, parts.device_mgpu)
    end as part_mgpu,
    case
        when held.is_measured and devices.gpu_device is null
            then {{ row_key(['held.cluster_id', 'held.job_id', 'held.attempt_id']) }}
        when held.is_measured
            then {{ row_key(['held.cluster_id', 'held.job_id', 'held.attempt_id', 'devices.gpu_device']) }}
    end as measured_key,
    held.landing_no,
    held.source_row
from held
left join devices
    on held.cluster_id = devices.cluster_id
        and held.job_id = devices.job_id
        and held.shared_attempt_id = devices.attempt_id
        and held.machine_id = devices.machine_id
left join parts
    on devices.cluster_id = parts.cluster_id
        and devices.machine_id = parts.machine_id
        and devices.gpu_device = parts.gpu_device
