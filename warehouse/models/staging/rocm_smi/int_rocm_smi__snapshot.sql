{{ config(materialized='ephemeral') }}

-- What was delivered, of its cluster, with the row as one value.
with

snapshots as (
    select * from {{ source('bronze', 'bronze_rocm_smi_gpu') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    landings.source,
    landings.landing_no,
    snapshots.*,
    {{ row_text([
        'snapshots.machine', 'snapshots.sampled_at', 'snapshots.driver_version', 'snapshots.gpu_index',
        'snapshots.gpu_uuid', 'snapshots.pci_bus_id', 'snapshots.product_name', 'snapshots.memory_total_bytes',
        'snapshots.memory_used_bytes', 'snapshots.gpu_util_pct', 'snapshots.memory_util_pct', 'snapshots.power_w',
        'snapshots.power_limit_w', 'snapshots.temperature_edge_c', 'snapshots.temperature_junction_c',
        'snapshots.memory_temperature_c', 'snapshots.sclk_mhz', 'snapshots.mclk_mhz', 'snapshots.pcie_replays',
        'snapshots.energy_uj',
    ]) }} as row_text
from snapshots
inner join landings
    on snapshots.landing_id = landings.landing_id
