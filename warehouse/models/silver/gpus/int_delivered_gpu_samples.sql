{{ config(materialized='view', meta={'unites': ['gpu_sample']}) }}

{% for staged in staging_models('gpu_sample') -%}
select
    cluster_id,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id,
    sampled_at,
    interval_s,
    sample_kind,
    gpu_util_pct,
    gr_engine_active_ratio,
    sm_active_ratio,
    sm_occupancy_ratio,
    tensor_active_ratio,
    dram_active_ratio,
    mem_copy_util_pct,
    memory_used_bytes,
    memory_total_bytes,
    power_w,
    power_limit_w,
    energy_j,
    temperature_c,
    memory_temperature_c,
    sm_clock_hz,
    mem_clock_hz,
    clocks_event_reasons,
    pcie_rx_bytes_per_s,
    pcie_tx_bytes_per_s,
    nvlink_rx_bytes_per_s,
    nvlink_tx_bytes_per_s,
    ecc_sbe_volatile,
    ecc_dbe_volatile,
    ecc_sbe_aggregate,
    ecc_dbe_aggregate,
    remapped_rows_correctable,
    remapped_rows_uncorrectable,
    row_remap_pending,
    row_remap_failed,
    pcie_replays,
    nvlink_errors,
    xid,
    job_id,
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
