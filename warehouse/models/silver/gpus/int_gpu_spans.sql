{{ config(materialized='ephemeral') }}

-- Of which seconds each sample speaks: an instant one of those from its time on, a mean of those up to it; at the most its
-- interval, and none that the next one speaks of. Where no interval is told, it is its device's usual step then.
-- Rows are narrow: they are sorted, and there are millions.
with

clusters as (
    select distinct
        cluster_id,
        cluster_no
    from {{ ref('int_days') }}
),

samples as (
    select
        clusters.cluster_no,
        {{ device_hash('delivered') }} as device_key,
        {{ utc_to_epoch('delivered.sampled_at') }} as at_s,
        delivered.sample_kind = 'interval_mean' as is_mean,
        {{ whole('nullif(delivered.interval_s, 0)') }} as interval_s
    from {{ ref('silver_gpu_samples') }} as delivered
    inner join clusters
        on delivered.cluster_id = clusters.cluster_id
    where {{ of_touched_samples('delivered.sampled_at') }}
),

neighbours as (
    select
        *,
        lag(at_s) over in_time as previous_s,
        lead(at_s) over in_time as next_s
    from samples
    window in_time as (partition by device_key order by at_s)
),

steps as (
    select
        neighbours.*,
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
    to_s
from spans
where from_s < to_s
