{{ config(materialized='view', meta={'unites': ['instance']}) }}

{% for staged in staging_models('instance') -%}
select
    cluster_id,
    job_id,
    task_id,
    instance_id,
    attempt_id,
    machine_id,
    status_source,
    start_s,
    started_at,
    ended_at,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('instance') }}) as known_fields,
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
