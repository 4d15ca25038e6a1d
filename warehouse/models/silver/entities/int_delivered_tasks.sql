{{ config(materialized='view', meta={'unites': ['task']}) }}

{% for staged in staging_models('task') -%}
select
    cluster_id,
    job_id,
    task_id,
    status_source,
    instance_count,
    gpu_request_count,
    cpu_request_cores,
    memory_request_bytes,
    gpu_model_source,
    submitted_at,
    ended_at,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('task') }}) as known_fields,
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
