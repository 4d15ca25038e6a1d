with

snapshots as (
    select * from {{ source('bronze', 'bronze_rocm_smi_gpu') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    snapshots.machine as machine_id,
    snapshots.gpu_uuid,
    {{ whole('snapshots.gpu_index') }} as gpu_index,
    cast(null as varchar) as mig_id,
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
    snapshots.memory_used_bytes,
    snapshots.memory_total_bytes,
    snapshots.power_w,
    snapshots.power_limit_w,
    snapshots.energy_uj / 1000000 as energy_j,
    coalesce(snapshots.temperature_edge_c, snapshots.temperature_junction_c) as temperature_c,
    snapshots.memory_temperature_c,
    snapshots.sclk_mhz * 1000000 as sm_clock_hz,
    snapshots.mclk_mhz * 1000000 as mem_clock_hz,
    cast(null as bigint) as clocks_event_reasons,
    cast(null as double) as pcie_rx_bytes_per_s,
    cast(null as double) as pcie_tx_bytes_per_s,
    cast(null as double) as nvlink_rx_bytes_per_s,
    cast(null as double) as nvlink_tx_bytes_per_s,
    cast(null as bigint) as ecc_sbe_volatile,
    cast(null as bigint) as ecc_dbe_volatile,
    cast(null as bigint) as ecc_sbe_aggregate,
    cast(null as bigint) as ecc_dbe_aggregate,
    cast(null as bigint) as remapped_rows_correctable,
    cast(null as bigint) as remapped_rows_uncorrectable,
    cast(null as bigint) as row_remap_pending,
    cast(null as bigint) as row_remap_failed,
    {{ whole('snapshots.pcie_replays') }} as pcie_replays,
    cast(null as bigint) as nvlink_errors,
    cast(null as bigint) as xid,
    cast(null as varchar) as job_id,
    {{ row_text([
        'snapshots.machine', 'snapshots.sampled_at', 'snapshots.driver_version', 'snapshots.gpu_index',
        'snapshots.gpu_uuid', 'snapshots.pci_bus_id', 'snapshots.product_name', 'snapshots.memory_total_bytes',
        'snapshots.memory_used_bytes', 'snapshots.gpu_util_pct', 'snapshots.memory_util_pct', 'snapshots.power_w',
        'snapshots.power_limit_w', 'snapshots.temperature_edge_c', 'snapshots.temperature_junction_c',
        'snapshots.memory_temperature_c', 'snapshots.sclk_mhz', 'snapshots.mclk_mhz', 'snapshots.pcie_replays',
        'snapshots.energy_uj',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    snapshots.landing_id,
    snapshots.source_row
from snapshots
inner join landings
    on snapshots.landing_id = landings.landing_id
