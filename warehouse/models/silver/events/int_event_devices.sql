{{ config(materialized='ephemeral') }}

-- Which device each row is of: the one that it names by its place, else that which its uuid or its PCI bus has then, else
-- what it is called. What a row of another kind than the GPU's own tells of a bus where no GPU sits is of the machine.
with

states as (
    select
        *,
        lag(state) over (partition by cluster_id, machine_id order by from_at) as state_before,
        lag(to_at) over (partition by cluster_id, machine_id order by from_at) as state_until
    from {{ ref('silver_machine_states') }}
),

-- A machine that goes down without having been drained before has failed, whether or not a line of a log says so.
rows_told as (
    select
        cluster_id,
        machine_id,
        gpu_uuid,
        gpu_index,
        pci_bus_id,
        happened_at,
        last_at,
        kind,
        code,
        event_count,
        message,
        process_id,
        process_name,
        job_id,
        source
    from {{ ref('silver_event_rows') }}
    union all
    select
        cluster_id,
        machine_id,
        cast(null as varchar) as gpu_uuid,
        cast(null as bigint) as gpu_index,
        cast(null as varchar) as pci_bus_id,
        from_at as happened_at,
        from_at as last_at,
        'node_down' as kind,
        cast(null as bigint) as code,
        1 as event_count,
        reason as message,
        cast(null as bigint) as process_id,
        cast(null as varchar) as process_name,
        cast(null as varchar) as job_id,
        'machine states' as source
    from states
    where state = 'down' and not coalesce(state_before = 'drained' and state_until >= from_at, false)
),

gpus as (
    select
        cluster_id,
        machine_id,
        {{ whole_device('gpu_device') }} as gpu_device,
        gpu_uuid,
        max(pci_bus_id) as pci_bus_id,
        case when count(valid_from) = count(*) then min(valid_from) end as valid_from,
        case when count(valid_to) = count(*) then max(valid_to) end as valid_to
    from {{ ref('silver_gpus') }}
    group by cluster_id, machine_id, {{ whole_device('gpu_device') }}, gpu_uuid
)

select
    rows_told.*,
    coalesce(
        cast(rows_told.gpu_index as varchar),
        by_uuid.gpu_device,
        by_bus.gpu_device,
        rows_told.gpu_uuid,
        case when rows_told.kind != 'pcie' then rows_told.pci_bus_id end
    ) as gpu_device
from rows_told
left join gpus as by_uuid
    on rows_told.cluster_id = by_uuid.cluster_id
        and rows_told.machine_id = by_uuid.machine_id
        and rows_told.gpu_uuid = by_uuid.gpu_uuid
        and {{ is_valid_at('by_uuid', 'rows_told.happened_at') }}
left join gpus as by_bus
    on rows_told.cluster_id = by_bus.cluster_id
        and rows_told.machine_id = by_bus.machine_id
        and rows_told.pci_bus_id = by_bus.pci_bus_id
        and {{ is_valid_at('by_bus', 'rows_told.happened_at') }}
