{{ config(materialized='view', meta={'unites': ['job']}) }}

{% for staged in staging_models('job') -%}
select
    cluster_id,
    job_id,
    instance_id,
    user_id,
    group_id,
    queue,
    status_source,
    start_time,
    end_time,
    submitted_at,
    ended_at,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('job') }}) as known_fields,
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
