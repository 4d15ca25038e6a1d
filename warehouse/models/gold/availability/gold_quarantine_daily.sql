{{ config(materialized='table') }}

with

quarantine as (
    select * from {{ source('meta', 'quarantine') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    cast(landings.landed_at as date) as landed_day,
    landings.source,
    landings.table_name,
    quarantine.reason,
    count(*) as rows_refused,
    min(quarantine.file_name) as example_file_name,
    min(quarantine.source_row) as first_source_row
from quarantine
inner join landings
    on quarantine.landing_id = landings.landing_id
group by landings.cluster_id, cast(landings.landed_at as date), landings.source, landings.table_name, quarantine.reason
