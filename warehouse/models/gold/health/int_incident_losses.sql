{{ config(materialized='ephemeral') }}

-- Which jobs an incident hit, and what those held that came to nothing: their attempts that failed while it lasted or within
-- ten minutes after it. What an attempt held is unknown where nobody tells its devices or its start.
with

events as (
    select * from {{ ref('int_incident_events') }}
),

event_jobs as (
    select * from {{ ref('silver_event_jobs') }}
),

attempts as (
    select * from {{ ref('int_hit_attempts') }}
    where attempt_status in ('failed', 'node_fail', 'preempted')
),

hit as (
    select
        events.cluster_id,
        events.machine_id,
        events.incident_no,
        event_jobs.job_id,
        min(events.started_at) as started_at,
        max(events.ended_at) as ended_at
    from events
    inner join event_jobs
        on events.cluster_id = event_jobs.cluster_id
            and events.machine_id = event_jobs.machine_id
            and events.gpu_device is not distinct from event_jobs.gpu_device
            and events.kind = event_jobs.kind
            and events.code is not distinct from event_jobs.code
            and events.happened_at = event_jobs.happened_at
    group by events.cluster_id, events.machine_id, events.incident_no, event_jobs.job_id
),

lost as (
    select
        hit.cluster_id,
        hit.machine_id,
        hit.incident_no,
        hit.job_id,
        count(attempts.job_id) as attempts,
        count(attempts.held_gpu_s) as known_attempts,
        sum(attempts.held_gpu_s) as held_gpu_s
    from hit
    left join attempts
        on hit.cluster_id = attempts.cluster_id
            and hit.job_id = attempts.job_id
            and attempts.ended_at >= hit.started_at - interval 60 second
            and attempts.ended_at <= hit.ended_at + interval 600 second
    group by hit.cluster_id, hit.machine_id, hit.incident_no, hit.job_id
)

select
    cluster_id,
    machine_id,
    incident_no,
    count(*) as jobs_hit,
    {{ text_list('job_id') }} as job_ids,
    count(case when attempts > 0 then 1 end) as jobs_failed,
    {{ text_list('case when attempts > 0 then job_id end') }} as failed_job_ids,
    case when sum(attempts) = sum(known_attempts) then coalesce(sum(held_gpu_s), 0) / 3600.0 end as lost_gpu_h
from lost
group by cluster_id, machine_id, incident_no
