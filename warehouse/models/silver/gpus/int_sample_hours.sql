{{ config(materialized='ephemeral') }}

-- Samples cut at borders of days and hours, while rows are narrow. Growth of counters counts once, where a sample begins.
with

samples as (
    select
        samples.*,
        {{ device_hash('samples') }} as device_key,
        {{ utc_to_epoch('samples.sampled_at') }} as at_s
    from {{ ref('silver_gpu_samples') }} as samples
    where {{ of_touched_samples('samples.sampled_at') }}
),

spans as (
    select * from {{ ref('int_gpu_samples') }}
    where from_s < to_s
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
),

pieces as (
    select
        spans_and_hours.*,
        hours.dt as hour_dt,
        hours.hour_start_at,
        hours.hour_s,
        cast(
            least(spans_and_hours.to_s, hours.hour_to_s) - greatest(spans_and_hours.from_s, hours.hour_from_s) as smallint
        ) as piece_s,
        spans_and_hours.hour_ix = spans_and_hours.first_hour_ix as is_first_piece
    from spans_and_hours
    inner join hours
        on spans_and_hours.hour_ix = hours.hour_ix
            and spans_and_hours.cluster_no = hours.cluster_no
    where spans_and_hours.to_s > hours.hour_from_s
)

select
    {%- for column in gpu_hour_columns() %}
    samples.{{ column }},
    {%- endfor %}
    {%- for counter in gpu_counters() %}
    pieces.grown_{{ counter }},
    {%- endfor %}
    pieces.has_reset,
    pieces.hour_dt,
    pieces.hour_start_at,
    pieces.hour_s,
    pieces.piece_s,
    pieces.is_first_piece
from samples
inner join pieces
    on samples.device_key = pieces.device_key
        and samples.at_s = pieces.at_s
