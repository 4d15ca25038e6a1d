with

events as (
    select * from {{ ref('int_incident_events') }}
),

losses as (
    select * from {{ ref('int_incident_losses') }}
),

incidents as (
    select
        cluster_id,
        machine_id,
        incident_no,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        count(distinct gpu_device) as gpus,
        {{ first_by('severity', 'worst_first', 'true') }} as severity,
        {{ first_by('event_class', 'worst_first', 'true') }} as event_class,
        {{ first_by('event_name', 'worst_first', 'true') }} as worst_event,
        {{ first_by('message', 'worst_first', 'true') }} as message,
        {{ first_by('to_do', 'worst_first', 'true') }} as to_do,
        count(*) as events,
        cast(sum(event_count) as bigint) as event_lines
    from events
    group by cluster_id, machine_id, incident_no
    having max(severity_rank) > 1
),

names as (
    select * from {{ ref('int_incident_names') }}
)

select
    incidents.cluster_id,
    incidents.machine_id,
    incidents.started_at,
    incidents.ended_at,
    days.dt,
    cast(incidents.gpus as bigint) as gpus,
    names.gpu_devices,
    incidents.severity,
    incidents.event_class,
    incidents.worst_event,
    names.event_names,
    cast(incidents.events as bigint) as events,
    incidents.event_lines,
    incidents.message,
    incidents.to_do,
    cast(coalesce(losses.jobs_hit, 0) as bigint) as jobs_hit,
    losses.job_ids,
    cast(coalesce(losses.jobs_failed, 0) as bigint) as jobs_failed,
    losses.failed_job_ids,
    case when losses.jobs_hit is null then 0 else losses.lost_gpu_h end as lost_gpu_h
from incidents
left join names
    on incidents.cluster_id = names.cluster_id
        and incidents.machine_id = names.machine_id
        and incidents.incident_no = names.incident_no
left join losses
    on incidents.cluster_id = losses.cluster_id
        and incidents.machine_id = losses.machine_id
        and incidents.incident_no = losses.incident_no
left join {{ ref('silver_days') }} as days
    on incidents.cluster_id = days.cluster_id
        and incidents.started_at >= days.starts_at
        and incidents.started_at < days.ends_at
