with

events as (
    select * from {{ source('bronze', 'bronze_plain_events') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    events.machine_id,
    events.gpu_uuid,
    {{ whole('events.gpu_index') }} as gpu_index,
    {{ plain_pci_bus_id('events.pci_bus_id') }} as pci_bus_id,
    events.happened_at,
    coalesce(events.last_at, events.happened_at) as last_at,
    lower(trim(events.kind)) as kind,
    {{ whole('events.code') }} as code,
    coalesce({{ whole('events.event_count') }}, 1) as event_count,
    events.message,
    {{ whole('events.process_id') }} as process_id,
    events.process_name,
    events.job_id,
    {{ row_text([
        'events.machine_id', 'events.happened_at', 'events.kind', 'events.code', 'events.gpu_index',
        'events.gpu_uuid', 'events.pci_bus_id', 'events.last_at', 'events.event_count', 'events.message',
        'events.process_id', 'events.process_name', 'events.job_id',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    events.landing_id,
    events.source_row
from events
inner join landings
    on events.landing_id = landings.landing_id
