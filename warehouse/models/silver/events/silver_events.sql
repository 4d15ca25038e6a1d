with

events as (
    select * from {{ ref('int_event_bursts') }}
),

classes as (
    select * from {{ ref('int_event_classes') }}
),

actions as (
    select * from {{ ref('catalogue_actions') }}
),

hit as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        kind,
        code,
        happened_at,
        count(distinct job_id) as jobs_hit,
        case when min(job_id) = max(job_id) then min(job_id) end as job_id
    from {{ ref('silver_event_jobs') }}
    group by cluster_id, machine_id, gpu_device, kind, code, happened_at
)

select
    events.cluster_id,
    events.machine_id,
    events.gpu_device,
    events.kind,
    events.code,
    coalesce(of_code.event_class, of_kind.event_class, 'other') as event_class,
    coalesce(of_code.severity, of_kind.severity, 'unknown') as severity,
    nullif(of_code.symbol, '') as symbol,
    nullif(of_code.to_be_done, '') as catalogue_action,
    coalesce(actions.to_do, nullif(of_code.to_be_done, ''), nullif(of_kind.to_be_done, '')) as to_do,
    events.happened_at,
    events.last_at,
    events.event_count,
    events.message,
    events.process_id,
    events.process_name,
    coalesce(hit.job_id, events.labelled_job_id) as job_id,
    coalesce(hit.jobs_hit, 0) as jobs_hit,
    events.sources
from events
left join classes as of_code
    on events.kind = of_code.kind
        and events.code = of_code.code
left join classes as of_kind
    on events.kind = of_kind.kind
        and of_kind.code is null
left join actions
    on of_code.to_be_done = actions.action
left join hit
    on events.cluster_id = hit.cluster_id
        and events.machine_id = hit.machine_id
        and events.gpu_device is not distinct from hit.gpu_device
        and events.kind = hit.kind
        and events.code is not distinct from hit.code
        and events.happened_at = hit.happened_at
