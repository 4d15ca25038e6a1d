{{ config(materialized='ephemeral') }}

-- The GPUs and the errors of each incident, by name, each once.
with

events as (
    select * from {{ ref('int_incident_events') }}
),

named as (
    select
        cluster_id,
        machine_id,
        incident_no,
        gpu_device as gpu_name,
        cast(null as varchar) as event_name
    from events
    union
    select
        cluster_id,
        machine_id,
        incident_no,
        cast(null as varchar) as gpu_name,
        event_name
    from events
)

select
    cluster_id,
    machine_id,
    incident_no,
    {{ text_list('gpu_name') }} as gpu_devices,
    {{ text_list('event_name') }} as event_names
from named
group by cluster_id, machine_id, incident_no
