{{ config(materialized='view', meta={'unites': ['machine']}) }}

{% for staged in staging_models('machine') -%}
select
    cluster_id,
    machine_id,
    gpu_model_source,
    gpu_count,
    cpu_cores,
    memory_bytes,
    valid_from,
    valid_to,
    is_seen,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('machine') }}) as known_fields,
    {{ text_of_row('row_text') }} as row_text,
    source,
    landing_id,
    landing_no,
    source_row
from {{ staged.relation }}
where {{ staged.rows }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
