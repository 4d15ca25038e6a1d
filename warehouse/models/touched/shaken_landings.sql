{{ config(materialized='view') }}

with

landings as (
    select * from {{ source('meta', 'landings') }}
    where max_event_at is not null
),

beaten as (
    select
        landing_id,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at
    from (
        select
            landing_id,
            first_event_at,
            last_event_at
        from {{ ref('conflict_rows') }}
        union all
        select
            landing_id,
            first_event_at,
            last_event_at
        from {{ ref('judged_instances') }}
        where not stands
    ) as beaten_rows
    group by landing_id
),

-- A second more: a landing's moments are of the source's own numbers, which may have fractions.
edges as (
    select
        landings.cluster_id,
        landings.landing_id,
        landings.min_event_at,
        landings.max_event_at,
        coalesce(beaten.first_event_at <= landings.min_event_at + interval 1 second, false) as is_first_beaten,
        coalesce(beaten.last_event_at >= landings.max_event_at - interval 1 second, false) as is_last_beaten
    from landings
    left join beaten
        on landings.landing_id = beaten.landing_id
),

-- What is certain bounds the window already: only a landing that reaches beyond it must be looked at.
certain as (
    select
        cluster_id,
        min(case when not is_first_beaten then min_event_at end) as first_at,
        max(case when not is_last_beaten then max_event_at end) as last_at
    from edges
    group by cluster_id
)

select edges.landing_id
from edges
left join certain
    on edges.cluster_id = certain.cluster_id
where
    (edges.is_first_beaten and coalesce(edges.min_event_at < certain.first_at, true))
    or (edges.is_last_beaten and coalesce(edges.max_event_at > certain.last_at, true))
