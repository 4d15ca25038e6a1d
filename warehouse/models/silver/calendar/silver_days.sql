with

days as (
    select * from {{ ref('int_recorded_days') }}
),

windows as (
    select
        cluster_id,
        min(min_event_at) as first_at,
        max(max_event_at) as last_at
    from {{ ref('int_landing_times') }}
    group by cluster_id
)

select
    days.cluster_id,
    days.dt,
    days.starts_at,
    days.ends_at,
    cast({{ seconds_between('days.starts_at', 'days.ends_at') }} as bigint) as day_s
from days
inner join windows
    on days.cluster_id = windows.cluster_id
where days.ends_at > windows.first_at and days.starts_at <= windows.last_at
order by
    days.cluster_id,
    days.dt
