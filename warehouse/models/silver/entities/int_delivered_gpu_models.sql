{{ config(materialized='view', meta={'unites': ['gpu_model']}) }}

{% for staged in staging_models('gpu_model') -%}
select
    gpu_model_source,
    is_cited,
    architecture,
    launch_year,
    released,
    memory_bytes,
    memory_type,
    memory_bandwidth_bytes_per_s,
    tdp_w,
    fp32_tflops,
    fp16_tensor_tflops,
    interconnect,
    source_url,
    note,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('gpu_model') }}) as known_fields,
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
