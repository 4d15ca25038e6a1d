{{ config(materialized='ephemeral') }}

-- The usual step of devices of which some sample tells no interval, by day of UTC: the median time to the next one.
select
    device_key,
    at_s // 86400 as utc_day,
    {{ whole(exact_quantile('next_s - at_s', 0.5)) }} as usual_s
from {{ ref('int_gpu_neighbours') }}
where interval_s is null
group by device_key, utc_day
