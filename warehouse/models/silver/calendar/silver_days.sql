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
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
)

select
    days.cluster_id,
    days.dt,
    case when clusters.time_basis <> 'real' then {{ days_since_1970('days.dt') }} end as day_no,
    case
        when clusters.time_basis <> 'real' then concat('day ', {{ days_since_1970('days.dt') }})
        else cast(days.dt as varchar)
    end as day_label,
    days.starts_at,
    days.ends_at,
    cast({{ seconds_between('days.starts_at', 'days.ends_at') }} as bigint) as day_s
from days
inner join windows
    on days.cluster_id = windows.cluster_id
inner join clusters
    on days.cluster_id = clusters.cluster_id
where days.ends_at > windows.first_at and days.starts_at <= windows.last_at
order by
    days.cluster_id,
    days.dt
