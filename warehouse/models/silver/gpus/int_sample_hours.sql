{{ config(materialized='ephemeral') }}

-- Samples cut at borders of days and hours, while rows are narrow. Growth of counters counts once, where a sample begins.
with

samples as (
    select
        samples.*,
        {{ device_hash('samples') }} as device_key,
        {{ utc_to_epoch('samples.sampled_at') }} as at_s
    from {{ ref('silver_gpu_samples') }} as samples
    where {{ in_sampled_range('samples.sampled_at') }}
),

spans as (
    select * from {{ ref('int_gpu_samples') }}
    where from_s < to_s
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
),

days as (
    select * from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

spans_and_days as (
    select
        spans.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from spans
    inner join quarters as opening
        on spans.cluster_no * 1000000000 + spans.from_s // 900 = opening.quarter_key
            and spans.from_s >= opening.starts_s
            and spans.from_s < opening.ends_s
    inner join quarters as closing
        on spans.cluster_no * 1000000000 + (spans.to_s - 1) // 900 = closing.quarter_key
            and spans.to_s > closing.starts_s
            and spans.to_s <= closing.ends_s
),

parts as (
    select
        spans_and_days.*,
        days.dt as hour_dt,
        days.starts_at,
        days.day_s,
        greatest(spans_and_days.from_s, days.starts_s) - days.starts_s as part_from_s,
        least(spans_and_days.to_s, days.ends_s) - days.starts_s as part_to_s,
        spans_and_days.from_s >= days.starts_s as is_first_day
    from spans_and_days
    inner join days
        on spans_and_days.day_no = days.day_no
),

hours as (
    select
        *,
        {{ each_number('part_from_s // 3600', '(part_to_s - 1) // 3600') }} as hour_no
    from parts
),

pieces as (
    select
        *,
        cast(least(part_to_s, (hour_no + 1) * 3600) - greatest(part_from_s, hour_no * 3600) as smallint) as piece_s,
        is_first_day and hour_no = part_from_s // 3600 as is_first_piece
    from hours
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
    pieces.starts_at,
    pieces.day_s,
    pieces.hour_no,
    pieces.piece_s,
    pieces.is_first_piece
from samples
inner join pieces
    on samples.device_key = pieces.device_key
        and samples.at_s = pieces.at_s
