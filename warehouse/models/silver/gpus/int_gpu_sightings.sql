{{ config(materialized='ephemeral') }}

-- When each device was seen where: at the moments at which it was told of, from the first to the last of a day's samples.
-- A device of which samples tell no uuid has the one that its place had, if that had one only.
with

delivered as (
    select
        gpus.cluster_id,
        gpus.machine_id,
        {{ gpu_device('coalesce(gpus.gpu_index, places.gpu_index)', 'gpus.gpu_uuid', 'gpus.mig_id') }} as gpu_device,
        coalesce(gpus.gpu_index, places.gpu_index) as gpu_index,
        gpus.gpu_uuid,
        gpus.mig_id,
        gpus.seen_at
    from {{ ref('int_delivered_gpus') }} as gpus
    left join {{ ref('int_gpu_places') }} as places
        on gpus.cluster_id = places.cluster_id
            and gpus.machine_id = places.machine_id
            and gpus.gpu_uuid = places.gpu_uuid
),

only_uuids as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        max(gpu_uuid) as gpu_uuid
    from delivered
    group by cluster_id, machine_id, gpu_device
    having min(gpu_uuid) = max(gpu_uuid)
),

sampled as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        dt,
        gpu_uuid,
        max(gpu_index) as gpu_index,
        max(mig_id) as mig_id,
        min(hour_start_at) as first_seen_at,
        max(hour_start_at + hour_s * interval 1 second) as last_seen_at,
        max(memory_total_bytes) as memory_bytes
    from {{ ref('silver_gpu_hours') }}
    group by cluster_id, machine_id, gpu_device, dt, gpu_uuid
)

select
    cluster_id,
    machine_id,
    gpu_device,
    gpu_index,
    gpu_uuid,
    mig_id,
    seen_at as first_seen_at,
    seen_at as last_seen_at,
    cast(null as double) as memory_bytes
from delivered
where gpu_device != ''
union all
select
    sampled.cluster_id,
    sampled.machine_id,
    sampled.gpu_device,
    sampled.gpu_index,
    coalesce(sampled.gpu_uuid, only_uuids.gpu_uuid) as gpu_uuid,
    sampled.mig_id,
    sampled.first_seen_at,
    sampled.last_seen_at,
    sampled.memory_bytes
from sampled
left join only_uuids
    on sampled.cluster_id = only_uuids.cluster_id
        and sampled.machine_id = only_uuids.machine_id
        and sampled.gpu_device = only_uuids.gpu_device
