{{ config(materialized='ephemeral') }}

-- The usual step of devices of which some sample tells no interval, by day of UTC: the median time to the next one.
with

samples as (
    select
        {{ device_hash('delivered') }} as device_key,
        {{ utc_to_epoch('delivered.sampled_at') }} as at_s,
        nullif(delivered.interval_s, 0) is null as is_unstated
    from {{ ref('silver_gpu_samples') }} as delivered
    where {{ of_touched_samples('delivered.sampled_at') }}
),

neighbours as (
    select
        *,
        lead(at_s) over (partition by device_key order by at_s) as next_s
    from samples
)

select
    device_key,
    at_s // 86400 as utc_day,
    {{ whole(exact_quantile('next_s - at_s', 0.5)) }} as usual_s
from neighbours
where is_unstated
group by device_key, utc_day
