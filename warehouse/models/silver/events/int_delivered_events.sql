{{ config(materialized='view', meta={'unites': ['event']}) }}

{% for staged in staging_models('event') -%}
select
    cluster_id,
    machine_id,
    gpu_uuid,
    gpu_index,
    pci_bus_id,
    happened_at,
    last_at,
    kind,
    code,
    event_count,
    message,
    process_id,
    process_name,
    job_id,
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
