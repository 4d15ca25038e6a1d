{{ config(materialized='ephemeral') }}

-- What each detector did last, and the build whose scores stand for it: days that are as before are not scored again.
with

scorings as (
    select * from {{ source('meta', 'scorings') }}
),

newest as (
    select max(build_id) as build_id
    from scorings
)

select scorings.*
from scorings
inner join newest
    on scorings.build_id = newest.build_id
