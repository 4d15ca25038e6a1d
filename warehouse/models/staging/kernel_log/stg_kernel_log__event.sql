with

bursts as (
    select * from {{ source('bronze', 'bronze_kernel_log_event') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    bursts.machine as machine_id,
    bursts.gpu_uuid,
    cast(null as bigint) as gpu_index,
    bursts.pci_bus_id,
    bursts.happened_at,
    coalesce(bursts.last_at, bursts.happened_at) as last_at,
    bursts.kind,
    {{ whole('bursts.code') }} as code,
    coalesce({{ whole('bursts.event_count') }}, 1) as event_count,
    bursts.message,
    {{ whole('bursts.process_id') }} as process_id,
    bursts.process_name,
    bursts.job_id,
    {{ row_text([
        'bursts.machine', 'bursts.happened_at', 'bursts.last_at', 'bursts.kind', 'bursts.code', 'bursts.pci_bus_id',
        'bursts.gpu_uuid', 'bursts.event_count', 'bursts.message', 'bursts.process_id', 'bursts.process_name',
        'bursts.job_id',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    bursts.landing_id,
    bursts.source_row
from bursts
inner join landings
    on bursts.landing_id = landings.landing_id
