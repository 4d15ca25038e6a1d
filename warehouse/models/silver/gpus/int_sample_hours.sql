{{ config(materialized='ephemeral') }}

-- Samples cut at borders of days and hours, while rows are narrow.
with

spans as (
    select * from {{ ref('int_gpu_spans') }}
),

quarters as (
    select * from {{ ref('int_hour_quarters') }}
),

hours as (
    select * from {{ ref('int_day_hours') }}
    where {{ of_touched_gpu_hours() }}
),

-- Nearly all lie in one hour. Others may meet hours that are parts of one, where clocks change: one more for each day.
spans_and_hours as (
    select
        spans.*,
        quarters.hour_ix as first_hour_ix,
        {{ each_number(
            'quarters.hour_ix',
            'case when spans.to_s <= quarters.hour_to_s then quarters.hour_ix else quarters.hour_ix + 1'
            ~ ' + (spans.to_s - quarters.hour_to_s) // 3600 + (spans.to_s - quarters.hour_to_s) // 82800 + 1 end'
        ) }} as hour_ix
    from spans
    inner join quarters
        on spans.cluster_no * 1000000000 + spans.from_s // 900 = quarters.quarter_key
            and spans.from_s >= quarters.hour_from_s
            and spans.from_s < quarters.hour_to_s
    where spans.to_s <= quarters.known_to_s
)

select
    spans_and_hours.device_key,
    spans_and_hours.at_s,
    cast(spans_and_hours.hour_ix as integer) as hour_ix,
    cast(
        least(spans_and_hours.to_s, hours.hour_to_s) - greatest(spans_and_hours.from_s, hours.hour_from_s) as smallint
    ) as piece_s,
    spans_and_hours.hour_ix = spans_and_hours.first_hour_ix as is_first_piece,
    spans_and_hours.usual_step_s
from spans_and_hours
inner join hours
    on spans_and_hours.hour_ix = hours.hour_ix
        and spans_and_hours.cluster_no = hours.cluster_no
where spans_and_hours.to_s > hours.hour_from_s
