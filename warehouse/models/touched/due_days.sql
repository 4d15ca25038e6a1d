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

new_days as (
    select
        days.cluster_id,
        days.dt
    from days
    where (days.cluster_id, days.dt) not in (
        select (known.cluster_id, known.dt) from {{ as_it_was('gold_cluster_util_daily') }} as known
    )
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
