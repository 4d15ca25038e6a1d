{{ config(materialized='ephemeral') }}

-- Every hour of every day, the last of a day a part of one where clocks change by a part. One cluster's hours follow each
-- other in hour_ix.
with

hours as (
    select
        *,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('int_days') }}
)

select
    cluster_id,
    cluster_no,
    dt,
    starts_at + hour_no * interval 1 hour as hour_start_at,
    least(3600, day_s - hour_no * 3600) as hour_s,
    starts_s + hour_no * 3600 as hour_from_s,
    least(starts_s + (hour_no + 1) * 3600, ends_s) as hour_to_s,
    max(ends_s) over (partition by cluster_no) as known_to_s,
    row_number() over (order by day_no, hour_no) as hour_ix
from hours
