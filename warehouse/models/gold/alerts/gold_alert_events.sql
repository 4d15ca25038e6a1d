{{ config(materialized='view') }}

with

events as (
    select * from {{ source('meta', 'alert_events') }}
)

select
    event_id,
    incident_id,
    seq,
    kind,
    happened_at,
    recorded_at,
    cluster_id,
    rule,
    key_json,
    state,
    judged_at,
    since,
    severity,
    audience,
    title,
    message,
    advice,
    link,
    value,
    expected,
    unit,
    gpu_h,
    group_id,
    history,
    is_flapping,
    told,
    silenced_until,
    done_by,
    note
from events
