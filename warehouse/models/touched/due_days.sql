with

days as (
    select * from {{ ref('silver_days') }}
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
        min(landings.min_event_at) as first_at,
        max(landings.max_event_at) as last_at
    from {{ ref('int_landing_times') }} as landings
    inner join {{ source('meta', 'published_landings') }} as published
        on landings.landing_id = published.landing_id
    group by landings.cluster_id
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
        or days.ends_at <= published_windows.first_at
        or days.starts_at > published_windows.last_at
),

-- Days on which only beaten rows have a record are no days any more: what an earlier build made of them goes.
gone_days as (
    select
        cluster_id,
        dt
    from {{ ref('int_recorded_days') }}
    except
    select
        cluster_id,
        dt
    from days
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
select * from gone_days
union
select * from days_with_news
{%- endif %}
