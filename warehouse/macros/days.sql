{# Every quarter hour of every day: an equality join finds a moment's day, whatever the zone and its clock changes. #}
{% macro quarters_of_days() -%}
    select
        cluster_id,
        dt,
        {{ each_number(quarter_of('starts_at'), quarter_of('ends_at') ~ ' - 1') }} as quarter
    from {{ ref('silver_days') }}
{%- endmacro %}

{# All days, numbered so that one cluster's follow each other, with the mark of those to build. #}
{% macro numbered_days(entity) -%}
    select
        days.cluster_id,
        days.dt,
        days.starts_at,
        days.day_s,
        {{ utc_to_epoch('days.starts_at') }} as starts_s,
        {{ utc_to_epoch('days.ends_at') }} as ends_s,
        dense_rank() over (order by days.cluster_id) as cluster_no,
        cast(row_number() over (order by days.cluster_id, days.dt) as integer) as day_no,
        {% if is_incremental() -%}
        touched.dt is not null as is_touched
        {%- else -%}
        true as is_touched
        {%- endif %}
    from {{ ref('silver_days') }} as days
    left join {{ ref('touched_days') }} as touched
        on days.cluster_id = touched.cluster_id
            and days.dt = touched.dt
            and touched.entity = '{{ entity }}'
{%- endmacro %}
