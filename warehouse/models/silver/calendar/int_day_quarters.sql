{{ config(materialized='ephemeral') }}

-- Every quarter hour of every day: an equality join finds a moment's day, whatever the zone and its clock changes. Where a
-- day begins within a quarter hour, that one stands with both days, so a join asks for the day's borders too.
-- quarter_key is cluster and quarter in one number: over two columns, planners join the quarters with themselves first.
with

quarters as (
    select
        cluster_id,
        dt,
        cluster_no,
        day_no,
        starts_at,
        ends_at,
        starts_s,
        ends_s,
        {{ each_number('starts_s // 900', '(ends_s - 1) // 900') }} as quarter
    from {{ ref('int_days') }}
)

select
    cluster_id,
    dt,
    day_no,
    starts_at,
    ends_at,
    starts_s,
    ends_s,
    quarter,
    cluster_no * 1000000000 + quarter as quarter_key
from quarters
