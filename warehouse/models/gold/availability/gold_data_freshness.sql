{{ config(materialized='table') }}

-- A table whose rows come when something happens is not late for having none: its silence says nothing.
{%- set sparse = sparse_tables() %}

with

landings as (
    select * from {{ source('meta', 'landings') }}
),

windows as (
    select
        cluster_id,
        max(ends_at) as ends_at
    from {{ ref('silver_days') }}
    group by cluster_id
),

times as (
    select * from {{ ref('int_landing_times') }}
),

tables as (
    select
        landings.cluster_id,
        landings.source,
        landings.table_name,
        max(case when landings.bronze_table in ({{ sparse | join(', ') }}) then 1 else 0 end) = 1 as is_sparse,
        count(*) as landings,
        cast(sum(landings.rows_kept) as bigint) as rows_kept,
        cast(sum(landings.rows_refused) as bigint) as rows_refused,
        max(landings.landed_at) as last_landed_at,
        min(times.min_event_at) as first_event_at,
        max(times.max_event_at) as last_event_at
    from landings
    left join times
        on landings.landing_id = times.landing_id
    group by landings.cluster_id, landings.source, landings.table_name
),

reached as (
    select
        tables.*,
        windows.ends_at
    from tables
    left join windows
        on tables.cluster_id = windows.cluster_id
)

select
    cluster_id,
    source,
    table_name,
    landings,
    rows_kept,
    rows_refused,
    last_landed_at,
    first_event_at,
    last_event_at,
    case when not is_sparse then {{ seconds_between('last_event_at', 'ends_at') }} / 3600 end as behind_window_h
from reached
