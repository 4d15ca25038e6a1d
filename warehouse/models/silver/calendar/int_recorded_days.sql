{{ config(materialized='ephemeral') }}

-- Every day from the first to the last that any delivered row has a record of, one of a beaten row too. A date that a zone's
-- clocks never show, where the zone crosses the date line, is no day.
with

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

recorded as (
    select
        clusters.cluster_id,
        clusters.time_zone,
        min(landings.min_event_at) as first_at,
        max(landings.max_event_at) as last_at
    from landings
    inner join clusters
        on landings.cluster_id = clusters.cluster_id
    where landings.max_event_at is not null
    group by clusters.cluster_id, clusters.time_zone
),

-- Where clocks fall back over midnight, they may show a date again after the next one has begun.
dates as (
    select
        *,
        {{ each_day(local_day('first_at', 'time_zone') ~ ' - 1', local_day('last_at', 'time_zone') ~ ' + 1') }} as dt
    from recorded
),

days as (
    select
        *,
        {{ day_start_utc('dt', 'time_zone') }} as starts_at,
        {{ day_start_utc('dt + 1', 'time_zone') }} as ends_at
    from dates
)

select
    cluster_id,
    dt,
    starts_at,
    ends_at
from days
where starts_at < ends_at and ends_at > first_at and starts_at <= last_at
