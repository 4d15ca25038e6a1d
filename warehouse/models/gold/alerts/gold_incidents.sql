{{ config(materialized='view') }}

with

events as (
    select * from {{ ref('gold_alert_events') }}
)

select
    incident_id,
    max_by(group_id, seq) as group_id,
    cluster_id,
    rule,
    key_json,
    max_by(severity, seq) as severity,
    max_by(audience, seq) as audience,
    max_by(title, seq) filter (where state = 'firing') as title,
    max_by(message, seq) filter (where state = 'firing') as message,
    max_by(value, seq) filter (where state = 'firing') as value,
    max_by(expected, seq) filter (where state = 'firing') as expected,
    max_by(unit, seq) as unit,
    max_by(gpu_h, seq) filter (where state = 'firing') as gpu_h,
    min(since) as since,
    min(happened_at) filter (where kind = 'open') as opened_at,
    max(judged_at) as last_judged_at,
    case
        when max_by(kind, seq) filter (where kind in ('open', 'reopen', 'resolve')) = 'resolve'
            then max(happened_at) filter (where kind = 'resolve')
    end as resolved_at,
    coalesce(max_by(kind, seq) filter (where kind in ('open', 'reopen', 'resolve')) <> 'resolve', false) as is_open,
    max_by(done_by, seq) filter (where kind = 'acknowledge') as acknowledged_by,
    nullif(max_by(coalesce(history, ''), seq), '') as history,
    count(*) filter (where kind in ('open', 'reopen')) as times_opened,
    count(*) filter (where told in ('opened', 'worse', 'reminded')) as times_told,
    count(*) as events
from events
group by incident_id, cluster_id, rule, key_json
