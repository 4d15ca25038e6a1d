{{ config(materialized='ephemeral') }}

-- Samples cut at the borders of days and hours: which seconds of which hour each speaks of. An hour begins at a whole hour
-- after the start of the cluster's day. What a counter has grown by counts once, where the sample's own seconds begin.
with

samples as (
    select
        *,
        row_number() over (partition by cluster_id, machine_id, gpu_device order by from_s, to_s) as place,
        lag(at_s) over in_time as counted_s,
        {%- for counter in gpu_counters() %}
        lag({{ counter }}) over in_time as previous_{{ counter }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_gpu_samples') }}
    where from_s < to_s
    window in_time as (partition by cluster_id, machine_id, gpu_device order by at_s)
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
),

days as (
    select * from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

covered_days as (
    select
        samples.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from samples
    inner join quarters as opening
        on samples.cluster_id = opening.cluster_id
            and samples.from_s // 900 = opening.quarter
            and samples.from_s >= opening.starts_s
            and samples.from_s < opening.ends_s
    inner join quarters as closing
        on samples.cluster_id = closing.cluster_id
            and (samples.to_s - 1) // 900 = closing.quarter
            and samples.to_s > closing.starts_s
            and samples.to_s <= closing.ends_s
),

parts as (
    select
        covered_days.*,
        days.dt,
        days.starts_at,
        days.day_s,
        greatest(covered_days.from_s, days.starts_s) - days.starts_s as part_from_s,
        least(covered_days.to_s, days.ends_s) - days.starts_s as part_to_s,
        covered_days.from_s >= days.starts_s as is_first_day
    from covered_days
    inner join days
        on covered_days.day_no = days.day_no
),

hours as (
    select
        *,
        {{ each_number('part_from_s // 3600', '(part_to_s - 1) // 3600') }} as hour_no
    from parts
)

select
    *,
    least(part_to_s, (hour_no + 1) * 3600) - greatest(part_from_s, hour_no * 3600) as piece_s,
    is_first_day and hour_no = part_from_s // 3600 as is_first_piece,
    {%- for counter in gpu_counters() %}
    {{ counted_since(counter, 'previous_' ~ counter, 'at_s - counted_s') }} as grown_{{ counter }},
    {%- endfor %}
    {{ counters_fell() }} as has_reset
from hours
