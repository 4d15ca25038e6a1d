{{ config(materialized='ephemeral') }}

-- Of which seconds each sample speaks: an instant one of those from its time on, a mean of those up to it; at the most its
-- interval, and none that the next one speaks of. Where no interval is told, it is its device's usual step then.
with

neighbours as (
    select * from {{ ref('int_gpu_neighbours') }}
),

steps as (
    select
        neighbours.*,
        case when neighbours.interval_s is null then usual_steps.usual_s end as usual_step_s,
        coalesce(neighbours.interval_s, usual_steps.usual_s) as step_s
    from neighbours
    left join {{ ref('int_usual_steps') }} as usual_steps
        on neighbours.device_key = usual_steps.device_key
            and neighbours.at_s // 86400 = usual_steps.utc_day
),

spans as (
    select
        *,
        {{ speaks_from() }} as from_s,
        {{ speaks_to() }} as to_s
    from steps
    where step_s is not null
)

select
    cluster_no,
    device_key,
    at_s,
    from_s,
    to_s,
    usual_step_s
from spans
where from_s < to_s
