{{ config(materialized='ephemeral') }}

-- The usual step of devices of which some sample tells no interval, by day of UTC: the median time to the next one.
{#- Both are named whichever is read: dbt learns what a model reads where it is not built in full. #}
{%- set neighbours, steps = ref('int_gpu_neighbours'), ref('usual_gpu_steps') %}
{% if is_full_build() -%}
select
    device_key,
    at_s // 86400 as utc_day,
    {{ whole(exact_quantile('next_s - at_s', 0.5)) }} as usual_s
from {{ neighbours }}
where interval_s is null
group by device_key, utc_day
{%- else -%}
select
    device_key,
    utc_day,
    usual_s
from {{ steps }}
{%- endif %}
