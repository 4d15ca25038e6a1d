{{ config(materialized='view', meta={'unites': ['group_tag']}) }}

{% for staged in staging_models('group_tag') -%}
select
    cluster_id,
    instance_id,
    recurrence_id,
    workload_tag,
    gpu_model_request,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('group_tag') }}) as known_fields,
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
