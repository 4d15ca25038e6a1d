-- No part reaches over its day's borders, and none stands on a day that its cluster has not.
with

extremes as (
    select
        cluster_id,
        dt,
        min(start_s) as first_s,
        max(end_s) as last_s
    from {{ ref('silver_allocation_days') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt
),

days as (
    select
        cluster_id,
        dt,
        {{ utc_to_epoch('starts_at') }} as starts_s,
        {{ utc_to_epoch('ends_at') }} as ends_s
    from {{ ref('silver_days') }}
)

select
    extremes.cluster_id,
    extremes.dt,
    extremes.first_s,
    extremes.last_s
from extremes
left join days
    on extremes.cluster_id = days.cluster_id
        and extremes.dt = days.dt
where
    days.dt is null
    or extremes.first_s < days.starts_s
    or extremes.last_s > days.ends_s
