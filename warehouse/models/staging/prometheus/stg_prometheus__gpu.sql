with

samples as (
    select * from {{ ref('stg_prometheus__gpu_sample') }}
),

devices as (
    select * from {{ ref('int_prometheus__gpu_device') }}
),

-- A device is seen at least twice in a delivery: at its first and at its last sample.
seen as (
    select
        landing_id,
        cluster_id,
        source,
        landing_no,
        machine_id,
        gpu_uuid,
        gpu_index,
        mig_id,
        max(memory_total_bytes) as memory_bytes,
        min(sampled_at) as first_at,
        max(sampled_at) as last_at,
        min(source_row) as source_row
    from samples
    group by
        landing_id,
        cluster_id,
        source,
        landing_no,
        machine_id,
        gpu_uuid,
        gpu_index,
        mig_id
),

sightings as (
    select
        *,
        first_at as seen_at
    from seen
    union all
    select
        *,
        last_at as seen_at
    from seen
    where last_at > first_at
)

select
    sightings.cluster_id,
    sightings.machine_id,
    sightings.gpu_uuid,
    sightings.gpu_index,
    sightings.mig_id,
    devices.mig_profile,
    devices.gpu_model_source,
    sightings.memory_bytes,
    devices.pci_bus_id,
    devices.driver_version,
    sightings.seen_at,
    {{ row_text([
        'sightings.machine_id', 'sightings.gpu_uuid', 'sightings.gpu_index', 'sightings.mig_id', 'devices.mig_profile',
        'devices.gpu_model_source', 'sightings.memory_bytes', 'devices.pci_bus_id', 'devices.driver_version',
    ]) }} as row_text,
    sightings.source,
    sightings.landing_no,
    sightings.landing_id,
    sightings.source_row
from sightings
inner join devices
    on sightings.landing_id = devices.landing_id
        and sightings.machine_id is not distinct from devices.machine_id
        and sightings.gpu_uuid is not distinct from devices.gpu_uuid
        and sightings.gpu_index is not distinct from devices.gpu_index
        and sightings.mig_id is not distinct from devices.mig_id
