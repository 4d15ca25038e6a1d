{{ config(materialized='ephemeral') }}

-- Every quarter hour of every day: an equality join finds a moment's day, whatever the zone and its clock changes.
-- quarter_key is cluster and quarter in one number: over two columns, planners join the quarters with themselves first.
with

quarters as (
    select
        cluster_id,
        dt,
        cluster_no,
        day_no,
        {{ each_number('starts_s // 900', 'ends_s // 900 - 1') }} as quarter
    from {{ ref('int_days') }}
)

select
    cluster_id,
    dt,
    day_no,
    quarter,
    cluster_no * 1000000000 + quarter as quarter_key
from quarters
