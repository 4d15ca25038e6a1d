{{ config(materialized='view', meta={'unites': ['gpu']}) }}

{% for staged in staging_models('gpu') -%}
select
    cluster_id,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id,
    mig_profile,
    gpu_model_source,
    memory_bytes,
    pci_bus_id,
    driver_version,
    seen_at,
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
