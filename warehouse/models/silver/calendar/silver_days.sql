with

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- The cluster's window: the first and the last day that any landing has a record of.
window_bounds as (
    select
        clusters.cluster_id,
        clusters.time_zone,
        {{ local_day('min(landings.min_event_at)', 'clusters.time_zone') }} as first_day,
        {{ local_day('max(landings.max_event_at)', 'clusters.time_zone') }} as last_day
    from landings
    inner join clusters
        on landings.cluster_id = clusters.cluster_id
    where landings.max_event_at is not null
    group by clusters.cluster_id, clusters.time_zone
),

days as (
    select
        cluster_id,
        time_zone,
        {{ each_day('first_day', 'last_day') }} as dt
    from window_bounds
)

select
    cluster_id,
    dt,
    {{ day_start_utc('dt', 'time_zone') }} as starts_at,
    {{ day_start_utc('dt + 1', 'time_zone') }} as ends_at,
    cast({{ seconds_between(day_start_utc('dt', 'time_zone'), day_start_utc('dt + 1', 'time_zone')) }} as bigint) as day_s
from days
order by
    cluster_id,
    dt
