with

gpu_samples as (
    select * from {{ source('bronze', 'bronze_plain_gpu_samples') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    gpu_samples.machine_id,
    gpu_samples.gpu_uuid,
    {{ whole('gpu_samples.gpu_index') }} as gpu_index,
    gpu_samples.mig_id,
    gpu_samples.sampled_at,
    gpu_samples.interval_s,
    coalesce(lower(gpu_samples.sample_kind), 'instant') as sample_kind,
    gpu_samples.gpu_util_pct,
    gpu_samples.gr_engine_active_ratio,
    gpu_samples.sm_active_ratio,
    gpu_samples.sm_occupancy_ratio,
    gpu_samples.tensor_active_ratio,
    gpu_samples.dram_active_ratio,
    gpu_samples.mem_copy_util_pct,
    gpu_samples.memory_used_bytes,
    gpu_samples.memory_total_bytes,
    gpu_samples.power_w,
    gpu_samples.power_limit_w,
    gpu_samples.energy_j,
    gpu_samples.temperature_c,
    gpu_samples.memory_temperature_c,
    gpu_samples.sm_clock_hz,
    gpu_samples.mem_clock_hz,
    {{ whole('gpu_samples.clocks_event_reasons') }} as clocks_event_reasons,
    gpu_samples.pcie_rx_bytes_per_s,
    gpu_samples.pcie_tx_bytes_per_s,
    gpu_samples.nvlink_rx_bytes_per_s,
    gpu_samples.nvlink_tx_bytes_per_s,
    {{ whole('gpu_samples.ecc_sbe_volatile') }} as ecc_sbe_volatile,
    {{ whole('gpu_samples.ecc_dbe_volatile') }} as ecc_dbe_volatile,
    {{ whole('gpu_samples.ecc_sbe_aggregate') }} as ecc_sbe_aggregate,
    {{ whole('gpu_samples.ecc_dbe_aggregate') }} as ecc_dbe_aggregate,
    {{ whole('gpu_samples.remapped_rows_correctable') }} as remapped_rows_correctable,
    {{ whole('gpu_samples.remapped_rows_uncorrectable') }} as remapped_rows_uncorrectable,
    {{ whole('gpu_samples.row_remap_pending') }} as row_remap_pending,
    {{ whole('gpu_samples.row_remap_failed') }} as row_remap_failed,
    {{ whole('gpu_samples.pcie_replays') }} as pcie_replays,
    {{ whole('gpu_samples.nvlink_errors') }} as nvlink_errors,
    {{ whole('gpu_samples.xid') }} as xid,
    gpu_samples.job_id,
    {{ row_text([
        'gpu_samples.machine_id', 'gpu_samples.gpu_index', 'gpu_samples.sampled_at', 'gpu_samples.gpu_uuid',
        'gpu_samples.mig_id', 'gpu_samples.interval_s', 'gpu_samples.sample_kind', 'gpu_samples.gpu_util_pct',
        'gpu_samples.gr_engine_active_ratio', 'gpu_samples.sm_active_ratio', 'gpu_samples.sm_occupancy_ratio',
        'gpu_samples.tensor_active_ratio', 'gpu_samples.dram_active_ratio', 'gpu_samples.mem_copy_util_pct',
        'gpu_samples.memory_used_bytes', 'gpu_samples.memory_total_bytes', 'gpu_samples.power_w',
        'gpu_samples.power_limit_w', 'gpu_samples.energy_j', 'gpu_samples.temperature_c',
        'gpu_samples.memory_temperature_c', 'gpu_samples.sm_clock_hz', 'gpu_samples.mem_clock_hz',
        'gpu_samples.clocks_event_reasons', 'gpu_samples.pcie_rx_bytes_per_s', 'gpu_samples.pcie_tx_bytes_per_s',
        'gpu_samples.nvlink_rx_bytes_per_s', 'gpu_samples.nvlink_tx_bytes_per_s', 'gpu_samples.ecc_sbe_volatile',
        'gpu_samples.ecc_dbe_volatile', 'gpu_samples.ecc_sbe_aggregate', 'gpu_samples.ecc_dbe_aggregate',
        'gpu_samples.remapped_rows_correctable', 'gpu_samples.remapped_rows_uncorrectable',
        'gpu_samples.row_remap_pending', 'gpu_samples.row_remap_failed', 'gpu_samples.pcie_replays',
        'gpu_samples.nvlink_errors', 'gpu_samples.xid', 'gpu_samples.job_id',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    gpu_samples.landing_id,
    gpu_samples.source_row
from gpu_samples
inner join landings
    on gpu_samples.landing_id = landings.landing_id
