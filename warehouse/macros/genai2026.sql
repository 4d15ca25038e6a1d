{# Seconds that a sample speaks for: the trace's step. #}
{% macro genai_sample_s() -%}
    57
{%- endmacro %}

{#
    Samples of one table, one per container and time: the later landing's, inside one landing the greatest row text. It is
    chosen here and not in silver, because a row of staging is made of samples of two tables.
#}
{% macro genai_samples(bronze_table) -%}
    select
        cluster_id,
        container_ip,
        timestamp_anon,
        value,
        landing_no,
        landing_id,
        source_row
    from (
        select
            landings.cluster_id,
            samples.container_ip,
            samples.timestamp_anon,
            samples.value,
            landings.landing_no,
            samples.landing_id,
            samples.source_row,
            row_number() over (
                partition by landings.cluster_id, samples.container_ip, samples.timestamp_anon
                order by landings.landing_no desc, {{ row_text(['samples.value']) }} desc, samples.source_row desc
            ) as place
        from {{ source('bronze', bronze_table) }} as samples
        inner join {{ source('meta', 'landings') }} as landings
            on samples.landing_id = landings.landing_id
    ) as ranked
    where place = 1
{%- endmacro %}
