{{ config(materialized='view', meta={'unites': ['machine_sample']}) }}

{% for staged in staging_models('machine_sample') -%}
select
    cluster_id,
    machine_id,
    sampled_at,
    interval_s,
    cpu_util_pct,
    load_1,
    memory_used_bytes,
    memory_total_bytes,
    net_rx_bytes_per_s,
    net_tx_bytes_per_s,
    cpu_busy_us,
    cpu_total_us,
    cpu_series,
    net_rx_bytes,
    net_rx_cards,
    net_tx_bytes,
    net_tx_cards,
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
