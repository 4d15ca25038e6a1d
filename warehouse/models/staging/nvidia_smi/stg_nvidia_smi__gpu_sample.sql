with

snapshots as (
    select * from {{ source('bronze', 'bronze_nvidia_smi_gpu') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    snapshots.machine as machine_id,
    snapshots.gpu_uuid,
    {{ whole('snapshots.gpu_index') }} as gpu_index,
    {{ nvidia_mig_id('snapshots.mig_gpu_instance', 'snapshots.mig_compute_instance') }} as mig_id,
    snapshots.sampled_at,
    cast(null as double) as interval_s,
    'instant' as sample_kind,
    snapshots.gpu_util_pct,
    cast(null as double) as gr_engine_active_ratio,
    cast(null as double) as sm_active_ratio,
    cast(null as double) as sm_occupancy_ratio,
    cast(null as double) as tensor_active_ratio,
    cast(null as double) as dram_active_ratio,
    snapshots.memory_util_pct as mem_copy_util_pct,
    {{ mib_to_bytes('snapshots.memory_used_mib') }} as memory_used_bytes,
    {{ mib_to_bytes('snapshots.memory_total_mib') }} as memory_total_bytes,
    coalesce(snapshots.power_draw_w, snapshots.power_draw_instant_w) as power_w,
    snapshots.power_limit_w,
    cast(null as double) as energy_j,
    snapshots.temperature_c,
    snapshots.memory_temperature_c,
    snapshots.sm_clock_mhz * 1000000 as sm_clock_hz,
    snapshots.mem_clock_mhz * 1000000 as mem_clock_hz,
    {{ whole('snapshots.clocks_event_reasons') }} as clocks_event_reasons,
    snapshots.pcie_rx_kb_per_s * 1000 as pcie_rx_bytes_per_s,
    snapshots.pcie_tx_kb_per_s * 1000 as pcie_tx_bytes_per_s,
    cast(null as double) as nvlink_rx_bytes_per_s,
    cast(null as double) as nvlink_tx_bytes_per_s,
    {{ whole('snapshots.ecc_sbe_volatile') }} as ecc_sbe_volatile,
    {{ whole('snapshots.ecc_dbe_volatile') }} as ecc_dbe_volatile,
    {{ whole('snapshots.ecc_sbe_aggregate') }} as ecc_sbe_aggregate,
    {{ whole('snapshots.ecc_dbe_aggregate') }} as ecc_dbe_aggregate,
    {{ whole('snapshots.remapped_rows_correctable') }} as remapped_rows_correctable,
    {{ whole('snapshots.remapped_rows_uncorrectable') }} as remapped_rows_uncorrectable,
    {{ whole('snapshots.row_remap_pending') }} as row_remap_pending,
    {{ whole('snapshots.row_remap_failed') }} as row_remap_failed,
    {{ whole('snapshots.pcie_replays') }} as pcie_replays,
    cast(null as bigint) as nvlink_errors,
    cast(null as bigint) as xid,
    cast(null as varchar) as job_id,
    {{ row_text([
        'snapshots.machine', 'snapshots.sampled_at', 'snapshots.driver_version', 'snapshots.attached_gpus',
        'snapshots.gpu_index', 'snapshots.gpu_uuid', 'snapshots.pci_bus_id', 'snapshots.product_name',
        'snapshots.mig_gpu_instance', 'snapshots.mig_compute_instance', 'snapshots.mig_profile',
        'snapshots.memory_total_mib', 'snapshots.memory_used_mib', 'snapshots.gpu_util_pct',
        'snapshots.memory_util_pct', 'snapshots.power_draw_w', 'snapshots.power_draw_instant_w',
        'snapshots.power_limit_w', 'snapshots.temperature_c', 'snapshots.temperature_slowdown_c',
        'snapshots.temperature_margin_c', 'snapshots.memory_temperature_c', 'snapshots.sm_clock_mhz',
        'snapshots.mem_clock_mhz', 'snapshots.clocks_event_reasons', 'snapshots.pcie_rx_kb_per_s',
        'snapshots.pcie_tx_kb_per_s', 'snapshots.pcie_replays', 'snapshots.ecc_sbe_volatile',
        'snapshots.ecc_dbe_volatile', 'snapshots.ecc_sbe_aggregate', 'snapshots.ecc_dbe_aggregate',
        'snapshots.remapped_rows_correctable', 'snapshots.remapped_rows_uncorrectable', 'snapshots.row_remap_pending',
        'snapshots.row_remap_failed',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    snapshots.landing_id,
    snapshots.source_row
from snapshots
inner join landings
    on snapshots.landing_id = landings.landing_id
