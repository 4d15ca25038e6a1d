with

stays as (
    select * from {{ ref('int_gpu_stays') }}
),

delivered as (
    select * from {{ ref('int_delivered_gpus') }}
),

-- What was last told of a device; of one whose uuid nobody tells, of its place.
facts as (
    select
        cluster_id,
        machine_id,
        gpu_uuid,
        case when gpu_uuid is null then gpu_index end as gpu_index,
        mig_id,
        {{ last_by('mig_profile', "coalesce(seen_at, timestamp '0001-01-01')") }} as mig_profile,
        {{ last_by('gpu_model_source', "coalesce(seen_at, timestamp '0001-01-01')") }} as gpu_model_source,
        {{ last_by('memory_bytes', "coalesce(seen_at, timestamp '0001-01-01')") }} as memory_bytes,
        {{ last_by('pci_bus_id', "coalesce(seen_at, timestamp '0001-01-01')") }} as pci_bus_id,
        {{ last_by('driver_version', "coalesce(seen_at, timestamp '0001-01-01')") }} as driver_version
    from delivered
    group by cluster_id, machine_id, gpu_uuid, case when gpu_uuid is null then gpu_index end, mig_id
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
),

machines as (
    select
        cluster_id,
        machine_id,
        max(gpu_model_source) as gpu_model_source
    from {{ ref('silver_machines') }}
    group by cluster_id, machine_id
    having min(gpu_model_source) = max(gpu_model_source)
),

described as (
    select
        stays.*,
        facts.mig_profile,
        coalesce(facts.gpu_model_source, machines.gpu_model_source) as gpu_model_source,
        facts.memory_bytes as told_memory_bytes,
        facts.pci_bus_id,
        facts.driver_version
    from stays
    left join facts
        on stays.cluster_id = facts.cluster_id
            and stays.machine_id = facts.machine_id
            and stays.mig_id is not distinct from facts.mig_id
            and stays.gpu_uuid is not distinct from facts.gpu_uuid
            and facts.gpu_index is not distinct from case when stays.gpu_uuid is null then stays.gpu_index end
    left join machines
        on stays.cluster_id = machines.cluster_id
            and stays.machine_id = machines.machine_id
)

select
    described.cluster_id,
    described.machine_id,
    described.gpu_device,
    described.gpu_index,
    described.gpu_uuid,
    described.mig_id,
    described.mig_profile,
    case when described.mig_id is not null then {{ whole_device('described.gpu_device') }} end as parent_gpu_device,
    aliases.gpu_model,
    described.gpu_model_source,
    cast(coalesce(described.told_memory_bytes, described.memory_bytes) as double) as memory_bytes,
    described.pci_bus_id,
    described.driver_version,
    described.first_seen_at,
    described.last_seen_at,
    described.valid_from,
    described.valid_to
from described
left join aliases
    on lower(described.gpu_model_source) = lower(aliases.alias)
