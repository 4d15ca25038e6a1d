{{ config(materialized='view', meta={'unites': ['usage']}) }}

{% for staged in staging_models('usage') -%}
select
    cluster_id,
    job_id,
    task_id,
    attempt_id,
    machine_id,
    gpu_device,
    gpu_devices,
    measured_from,
    measured_to,
    sample_kind,
    gpu_signal,
    gpu_used_count,
    cpu_used_cores,
    memory_used_bytes_mean,
    memory_used_bytes_max,
    gpu_mem_used_bytes_mean,
    gpu_mem_used_bytes_max,
    net_rx_bytes_per_s,
    net_tx_bytes_per_s,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('usage') }}) as known_fields,
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
