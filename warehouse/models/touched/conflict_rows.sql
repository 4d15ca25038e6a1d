{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'unites': entities_built()},
) }}

with

losers as (
    {% for entity in entities_built() -%}
    {{ losing_rows(entity) }}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
)

select
    losers.entity,
    losers.cluster_id,
    losers.landing_id,
    losers.source_row,
    losers.is_equal
from losers
{% if is_incremental() -%}
left join {{ this }} as known
    on losers.entity = known.entity
        and losers.landing_id = known.landing_id
        and losers.source_row = known.source_row
where known.landing_id is null
{%- endif %}
