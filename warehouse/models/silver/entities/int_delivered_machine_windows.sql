{{ config(materialized='view', meta={'unites': ['machine_window']}) }}

{% for staged in staging_models('machine_window') -%}
select
    cluster_id,
    machine_id,
    worker_id,
    started_at,
    ended_at,
    end_s,
    gpu_util_pct,
    cpu_util_pct,
    machine_load_1,
    machine_net_receive,
    machine_cpu_iowait,
    machine_cpu_kernel,
    machine_cpu_usr,
    machine_num_worker,
    {{ known_of_row('row_text') }} - ({{ impossible_fields('machine_window') }}) as known_fields,
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
