with

events as (
    select * from {{ ref('int_event_bursts') }}
),

tenants as (
    select * from {{ ref('int_event_tenants') }}
)

select
    events.cluster_id,
    events.machine_id,
    events.gpu_device,
    events.kind,
    events.code,
    events.happened_at,
    tenants.job_id
from events
inner join tenants
    on events.cluster_id = tenants.cluster_id
        and events.machine_id = tenants.machine_id
        and events.gpu_device is not distinct from tenants.gpu_device
        and events.kind = tenants.kind
        and events.code is not distinct from tenants.code
        and events.burst_no = tenants.burst_no
where tenants.held_then or not tenants.somebody_held
union
select
    cluster_id,
    machine_id,
    gpu_device,
    kind,
    code,
    happened_at,
    labelled_job_id as job_id
from events
where labelled_job_id is not null
