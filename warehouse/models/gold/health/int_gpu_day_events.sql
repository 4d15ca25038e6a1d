{{ config(materialized='ephemeral') }}

-- What was told of each GPU on each day, by how grave it is, and by name.
with

days as (
    select * from {{ ref('silver_days') }}
    where {{ of_due_days() }}
),

named as (
    select
        days.cluster_id,
        days.dt,
        events.machine_id,
        events.gpu_device,
        events.kind,
        events.event_class = 'application' as is_application,
        events.severity,
        {{ event_name('events.kind', 'events.code') }} as event_name,
        max(events.to_do) as to_do,
        sum(events.event_count) as line_count,
        count(*) as events
    from days
    inner join {{ ref('silver_events') }} as events
        on days.cluster_id = events.cluster_id
            and days.starts_at <= events.happened_at
            and days.ends_at > events.happened_at
    where events.gpu_device is not null
    group by
        days.cluster_id,
        days.dt,
        events.machine_id,
        events.gpu_device,
        events.kind,
        events.event_class,
        events.severity,
        {{ event_name('events.kind', 'events.code') }}
)

select
    cluster_id,
    dt,
    machine_id,
    gpu_device,
    coalesce(sum(case when kind = 'xid' and severity = 'critical' then events end), 0) as xids_critical,
    coalesce(sum(case when kind = 'xid' and severity = 'warning' then events end), 0) as xids_warning,
    coalesce(sum(case when kind = 'xid' and severity = 'info' then events end), 0) as xids_info,
    coalesce(sum(case when kind = 'xid' and severity = 'unknown' then events end), 0) as xids_unknown,
    coalesce(sum(case when severity = 'critical' then events end), 0) as critical_events,
    coalesce(sum(case when severity in ('warning', 'unknown') and not is_application then events end), 0) as warning_events,
    coalesce(sum(case when is_application and severity != 'critical' then line_count end), 0) as application_lines,
    max(case when severity = 'critical' then to_do end) as critical_to_do,
    {{ text_list("case when severity = 'critical' then event_name end") }} as critical_names,
    {{ text_list("case when severity in ('warning', 'unknown') and not is_application then event_name end") }}
        as warning_names,
    {{ text_list("case when is_application and severity != 'critical' then event_name end") }} as application_names
from named
group by cluster_id, dt, machine_id, gpu_device
