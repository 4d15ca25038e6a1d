{{ config(materialized='ephemeral') }}

-- The attempts that held the device of an event when it began, or all of the machine's where it is of no device. What a job
-- does not survive is often written down just after its end: so for a minute after it.
with

events as (
    select * from {{ ref('int_event_bursts') }}
),

devices as (
    select * from {{ ref('int_attempt_devices') }}
),

attempts as (
    select
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        started_at,
        ended_at
    from {{ ref('int_delivered_instances') }}
    where
        cluster_id in ({{ asked_first(
            'select cluster_id from ' ~ ref('silver_event_rows') ~ ' union select cluster_id from ' ~ ref('silver_machine_states')
        ) }})
        and started_at is not null
),

pairs as (
    select
        events.cluster_id,
        events.machine_id,
        events.gpu_device,
        events.kind,
        events.code,
        events.burst_no,
        attempts.job_id,
        max(attempts.ended_at is null or attempts.ended_at > events.happened_at) as held_then
    from events
    inner join attempts
        on events.cluster_id = attempts.cluster_id
            and events.machine_id = attempts.machine_id
            and events.happened_at >= attempts.started_at
            and coalesce(attempts.ended_at, events.happened_at) + interval 60 second >= events.happened_at
    left join devices
        on attempts.cluster_id = devices.cluster_id
            and attempts.job_id = devices.job_id
            and attempts.attempt_id = devices.attempt_id
            and attempts.machine_id = devices.machine_id
            and events.gpu_device = {{ whole_device('devices.gpu_device') }}
    where events.gpu_device is null or devices.job_id is not null
    group by
        events.cluster_id, events.machine_id, events.gpu_device, events.kind, events.code, events.burst_no, attempts.job_id
)

select
    *,
    max(held_then) over (partition by cluster_id, machine_id, gpu_device, kind, code, burst_no) as somebody_held
from pairs
