with

days as (
    select
        cluster_id,
        dt
    from {{ ref('silver_days') }}
)
{%- if is_full_build() %}

-- A full build shows every day anew.
select
    cluster_id,
    dt
from days
{%- else %},

touched as (
    select
        cluster_id,
        dt
    from {{ ref('touched_days') }}
),

-- Until a publication holds them, days stay new: also where an earlier build with the same landings was cut off or failed.
published_windows as (
    select
        landings.cluster_id,
        {{ local_day('min(landings.min_event_at)', 'clusters.time_zone') }} as first_day,
        {{ local_day('max(landings.max_event_at)', 'clusters.time_zone') }} as last_day
    from {{ source('meta', 'landings') }} as landings
    inner join {{ source('meta', 'published_landings') }} as published
        on landings.landing_id = published.landing_id
    inner join {{ source('meta', 'clusters') }} as clusters
        on landings.cluster_id = clusters.cluster_id
    where landings.max_event_at is not null
    group by landings.cluster_id, clusters.time_zone
),

new_days as (
    select
        days.cluster_id,
        days.dt
    from days
    left join published_windows
        on days.cluster_id = published_windows.cluster_id
    where
        published_windows.cluster_id is null
        or days.dt < published_windows.first_day
        or days.dt > published_windows.last_day
),

days_with_news as (
    select
        days.cluster_id,
        days.dt
    from days
    where days.cluster_id in (select news.cluster_id from {{ ref('clusters_with_news') }} as news)
)

select * from touched
union
select * from new_days
union
select * from days_with_news
{%- endif %}
