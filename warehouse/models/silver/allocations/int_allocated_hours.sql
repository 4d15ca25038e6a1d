{{ config(materialized='ephemeral') }}

-- Unit-hours from the borders of day parts, by a difference array: with P = Σ signed g × seconds left in the hour and O
-- = Σ signed g of the day's earlier hours, an hour of n seconds holds P + n × O. The cost grows with the parts and the
-- hours they touch, not with their length; no sum crosses a day. A sum of hours differs from the parts' own rounding by
-- half a milli-GPU-second per part at the most.
with

borders as (
    select * from {{ ref('int_hour_borders') }}
),

border_hours as (
    select
        unit_no,
        day_no,
        day_s,
        hour_no,
        cast(sum(held * step) as bigint) as held_step,
        cast(sum(held * seconds) as bigint) as held_part,
        cast(sum(measured * step) as bigint) as measured_step,
        cast(sum(measured * seconds) as bigint) as measured_part,
        cast(sum(used * step) as bigint) as used_step,
        cast(sum(used * seconds) as bigint) as used_part,
        cast(sum(zero * step) as bigint) as zero_step,
        cast(sum(zero * seconds) as bigint) as zero_part
    from borders
    group by unit_no, day_no, day_s, hour_no
),

-- A day gives back all that it held.
running_hours as (
    {{ sums_before(
        'border_hours', ['unit_no', 'day_no', 'hour_no'],
        {'held_before': 'held_step', 'measured_before': 'measured_step', 'used_before': 'used_step', 'zero_before': 'zero_step'},
        previous='previous_hour_no',
    ) }}
),

-- Hours without a border hold what stood before the next one.
filled_hours as (
    select
        *,
        {{ each_number('case when held_before > 0 then previous_hour_no + 1 else hour_no end', 'hour_no') }}
            as filled_hour_no
    from running_hours
),

sized_hours as (
    select
        *,
        least(3600, day_s - filled_hour_no * 3600) as hour_s
    from filled_hours
),

hour_amounts as (
    select
        unit_no,
        day_no,
        filled_hour_no as hour_no,
        hour_s,
        held_before * hour_s + case when filled_hour_no = hour_no then held_part else 0 end as held,
        measured_before * hour_s + case when filled_hour_no = hour_no then measured_part else 0 end as measured,
        used_before * hour_s + case when filled_hour_no = hour_no then used_part else 0 end as used,
        zero_before * hour_s + case when filled_hour_no = hour_no then zero_part else 0 end as zero
    from sized_hours
)

select
    unit_no,
    day_no,
    hour_no,
    hour_s,
    cast(held as bigint) as allocated_mgpu_s,
    cast(measured as bigint) as measured_mgpu_s,
    cast(round(used / 1000000) as bigint) as active_mgpu_s,
    cast(zero as bigint) as zero_util_mgpu_s
from hour_amounts
where held > 0
