{{ config(materialized='view', meta={'unites': ['figure_needs']}) }}

{% for staged in staging_models('figure_needs') -%}
select
    source,
    table_name,
    column_name,
    needs_table,
    reason
from {{ staged.relation }}
where {{ staged.rows }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
