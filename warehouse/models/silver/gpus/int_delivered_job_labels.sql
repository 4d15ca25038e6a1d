{{ config(materialized='view', meta={'unites': ['job_label']}) }}

{% for staged in staging_models('job_label') -%}
select
    cluster_id,
    job_id,
    label,
    source,
    landing_id,
    landing_no
from {{ staged.relation }}
where {{ staged.rows }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
