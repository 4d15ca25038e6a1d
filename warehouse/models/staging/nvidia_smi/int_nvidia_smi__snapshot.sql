{{ config(materialized='ephemeral') }}

-- What was delivered, of its cluster, with the MIG device it is of and the row as one value.
with

snapshots as (
    select * from {{ source('bronze', 'bronze_nvidia_smi_gpu') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    landings.source,
    landings.landing_no,
    snapshots.*,
    {{ nvidia_mig_id('snapshots.mig_gpu_instance', 'snapshots.mig_compute_instance') }} as mig_id,
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
    ]) }} as row_text
from snapshots
inner join landings
    on snapshots.landing_id = landings.landing_id
