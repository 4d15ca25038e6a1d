{# Every quarter hour of every day: an equality join finds a moment's day, whatever the zone and its clock changes. #}
{% macro quarters_of_days() -%}
    select
        cluster_id,
        dt,
        {{ each_number(quarter_of('starts_at'), quarter_of('ends_at') ~ ' - 1') }} as quarter
    from {{ ref('silver_days') }}
{%- endmacro %}

{# All days, numbered so that one cluster's follow each other, with the mark of those to build. #}
{% macro numbered_days(entity=none) -%}
    select
        days.cluster_id,
        days.dt,
        days.starts_at,
        days.day_s,
        {{ utc_to_epoch('days.starts_at') }} as starts_s,
        {{ utc_to_epoch('days.ends_at') }} as ends_s,
        dense_rank() over (order by days.cluster_id) as cluster_no,
        cast(row_number() over (order by days.cluster_id, days.dt) as integer) as day_no,
        {% if entity and is_incremental() -%}
        touched.dt is not null as is_touched
        {%- else -%}
        true as is_touched
        {%- endif %}
    from {{ ref('silver_days') }} as days
    {%- if entity %}
    left join {{ ref('touched_days') }} as touched
        on days.cluster_id = touched.cluster_id
            and days.dt = touched.dt
            and touched.entity = '{{ entity }}'
    {%- endif %}
{%- endmacro %}

{#
    Spans cut at the borders of days: CTEs that end in `day_parts`, one row per span and touched day that it covers.
    `spans` has cluster_no, start_s and end_s (whole seconds, start before end); a part has day_no, dt, part_start_s, part_end_s.
    A day is found by quarter hours: one key, not two columns, else planners join the quarters with themselves first.
#}
{% macro cut_at_days(spans, days) -%}
quarters as (
    select
        cluster_no * 1000000000 + {{ each_number('starts_s // 900', 'ends_s // 900 - 1') }} as quarter_key,
        day_no
    from {{ days }}
),

span_days as (
    select
        cut.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from {{ spans }} as cut
    inner join quarters as opening
        on cut.cluster_no * 1000000000 + cut.start_s // 900 = opening.quarter_key
    inner join quarters as closing
        on cut.cluster_no * 1000000000 + (cut.end_s - 1) // 900 = closing.quarter_key
),

day_parts as (
    select
        span_days.*,
        days.dt,
        days.starts_s as day_start_s,
        greatest(span_days.start_s, days.starts_s) as part_start_s,
        least(span_days.end_s, days.ends_s) as part_end_s
    from span_days
    inner join {{ days }} as days
        on span_days.day_no = days.day_no
    where days.is_touched
)
{%- endmacro %}
