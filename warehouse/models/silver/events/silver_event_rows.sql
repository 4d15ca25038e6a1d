-- Each build adds what pending landings tell: no event of the history is read from its file again.
{{ config(materialized='incremental', pre_hook="{{ delete_rows(pending_only()) }}") }}

select
    cluster_id,
    machine_id,
    gpu_uuid,
    cast(gpu_index as bigint) as gpu_index,
    pci_bus_id,
    happened_at,
    greatest(last_at, happened_at) as last_at,
    kind,
    cast(code as bigint) as code,
    cast(event_count as bigint) as event_count,
    message,
    process_id,
    process_name,
    job_id,
    source,
    landing_id,
    landing_no,
    source_row
from {{ ref('int_delivered_events') }}
where happened_at is not null and kind is not null and {{ of_new_landings() }}
