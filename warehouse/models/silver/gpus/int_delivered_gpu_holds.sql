{{ config(materialized='view', meta={'unites': ['gpu_hold']}) }}

{% for staged in staging_models('gpu_hold') -%}
select
    cluster_id,
    job_id,
    task_id,
    attempt_id,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id,
    {{ known_of_row('row_text') }} as known_fields,
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
