{{ config(materialized='ephemeral') }}

-- The devices that deliveries say an attempt held, as they are called in their machine.
select
    holds.cluster_id,
    holds.job_id,
    holds.attempt_id,
    holds.machine_id,
    {{ gpu_device('coalesce(holds.gpu_index, places.gpu_index)', 'holds.gpu_uuid', 'holds.mig_id') }} as gpu_device,
    holds.landing_id,
    holds.landing_no
from {{ ref('int_delivered_gpu_holds') }} as holds
left join {{ ref('int_gpu_places') }} as places
    on holds.cluster_id = places.cluster_id
        and holds.machine_id = places.machine_id
        and holds.gpu_uuid = places.gpu_uuid
