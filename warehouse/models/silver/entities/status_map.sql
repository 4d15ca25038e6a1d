{{ config(materialized='table', schema='meta', tags=['full_builds_only'], meta={'unites': ['status_word']}) }}

{% for staged in staging_models('status_word') -%}
select
    source,
    status_source,
    job_status,
    decided_on
from {{ staged.relation }}
where {{ staged.rows }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
