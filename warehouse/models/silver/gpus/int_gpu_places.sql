{{ config(materialized='ephemeral') }}

-- Where a device sat, of which only the uuid is told elsewhere: its place in its machine, if it had one.
select
    cluster_id,
    machine_id,
    gpu_uuid,
    max(gpu_index) as gpu_index
from {{ ref('int_delivered_gpus') }}
where gpu_index is not null and gpu_uuid is not null and mig_id is null
group by cluster_id, machine_id, gpu_uuid
having min(gpu_index) = max(gpu_index)
