{{ config(materialized='table') }}

with

quarantine as (
    select * from {{ source('meta', 'quarantine') }}
),

implausible as (
    select * from {{ ref('implausible_values') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

left_out as (
    select
        landing_id,
        source_row,
        reason,
        1 as rows_refused,
        0 as values_implausible
    from quarantine
    union all
    select
        landing_id,
        source_row,
        reason,
        0 as rows_refused,
        1 as values_implausible
    from implausible
)

select
    landings.cluster_id,
    cast(landings.landed_at as date) as landed_day,
    landings.source,
    landings.table_name,
    left_out.reason,
    cast(sum(left_out.rows_refused) as bigint) as rows_refused,
    cast(sum(left_out.values_implausible) as bigint) as values_implausible,
    min(landings.file_name) as example_file_name,
    min(left_out.source_row) as first_source_row
from left_out
inner join landings
    on left_out.landing_id = landings.landing_id
group by landings.cluster_id, cast(landings.landed_at as date), landings.source, landings.table_name, left_out.reason
