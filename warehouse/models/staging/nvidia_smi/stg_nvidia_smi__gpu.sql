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
    snapshots.mig_profile,
    snapshots.product_name as gpu_model_source,
    {{ mib_to_bytes('snapshots.memory_total_mib') }} as memory_bytes,
    snapshots.pci_bus_id,
    snapshots.driver_version,
    snapshots.sampled_at as seen_at,
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
