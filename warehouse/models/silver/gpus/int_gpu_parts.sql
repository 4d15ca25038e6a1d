{{ config(materialized='ephemeral') }}

-- How much of its GPU each part is, in thousandths, where its profile is told.
with

delivered as (
    select
        gpus.cluster_id,
        gpus.machine_id,
        {{ gpu_device('coalesce(gpus.gpu_index, places.gpu_index)', 'gpus.gpu_uuid', 'gpus.mig_id') }} as gpu_device,
        gpus.mig_profile
    from {{ ref('int_delivered_gpus') }} as gpus
    left join {{ ref('int_gpu_places') }} as places
        on gpus.cluster_id = places.cluster_id
            and gpus.machine_id = places.machine_id
            and gpus.gpu_uuid = places.gpu_uuid
    where gpus.mig_id is not null and gpus.mig_profile is not null
)

-- A part that was made anew with another size is of neither.
select
    cluster_id,
    machine_id,
    gpu_device,
    max({{ mig_mgpu('mig_profile') }}) as device_mgpu
from delivered
group by cluster_id, machine_id, gpu_device
having min({{ mig_mgpu('mig_profile') }}) = max({{ mig_mgpu('mig_profile') }})
