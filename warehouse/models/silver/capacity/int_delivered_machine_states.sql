{{ config(materialized='view', meta={'unites': ['machine_state']}) }}

{% for staged in staging_models('machine_state') -%}
select
    cluster_id,
    machine_id,
    state,
    state_source,
    reason,
    from_at,
    to_at,
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
