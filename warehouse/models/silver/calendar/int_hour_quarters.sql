{{ config(materialized='ephemeral') }}

-- Every quarter hour of every hour, as int_day_quarters has them of days: where an hour begins within one, that one stands
-- with both hours.
with

quarters as (
    select
        *,
        {{ each_number('hour_from_s // 900', '(hour_to_s - 1) // 900') }} as quarter
    from {{ ref('int_day_hours') }}
)

select
    cluster_id,
    hour_start_at,
    hour_ix,
    hour_from_s,
    hour_to_s,
    known_to_s,
    cluster_no * 1000000000 + quarter as quarter_key
from quarters
