{{ config(materialized='ephemeral') }}

-- Events of a machine that follow each other within ten seconds are one incident, numbered; it begins with its first.
with

ordered as (
    select
        *,
        max(last_at) over (
            partition by cluster_id, machine_id
            order by happened_at, gpu_device, kind, code
            rows between unbounded preceding and 1 preceding
        ) as told_until
    from {{ ref('silver_events') }}
),

numbered as (
    select
        *,
        sum(case when happened_at <= told_until + interval 10 second then 0 else 1 end) over (
            partition by cluster_id, machine_id
            order by happened_at, gpu_device, kind, code
            rows unbounded preceding
        ) as incident_no
    from ordered
)

select
    *,
    {{ event_name('kind', 'code') }} as event_name,
    {{ severity_rank('severity') }} as severity_rank,
    (4 - {{ severity_rank('severity') }}) * 100000000000 + {{ utc_to_epoch('happened_at') }} as worst_first,
    min(happened_at) over (partition by cluster_id, machine_id, incident_no) as started_at,
    max(last_at) over (partition by cluster_id, machine_id, incident_no) as ended_at
from numbered
