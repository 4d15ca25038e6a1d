with

moments as (
    select * from {{ ref('int_prometheus__gpu_moment') }}
),

devices as (
    select * from {{ ref('int_prometheus__gpu_device') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- Where a driver reserves memory and shows it, a device's memory is used, free and reserved; older ones count it as used.
select
    landings.cluster_id,
    devices.machine_id,
    devices.gpu_uuid,
    devices.gpu_index,
    devices.mig_id,
    moments.sampled_at,
    moments.interval_s,
    'instant' as sample_kind,
    moments.gpu_util as gpu_util_pct,
    moments.gr_engine_active as gr_engine_active_ratio,
    moments.sm_active as sm_active_ratio,
    moments.sm_occupancy as sm_occupancy_ratio,
    moments.tensor_active as tensor_active_ratio,
    moments.dram_active as dram_active_ratio,
    moments.mem_copy_util as mem_copy_util_pct,
    moments.memory_used as memory_used_bytes,
    coalesce(
        moments.memory_total, moments.memory_used + moments.memory_free + coalesce(moments.memory_reserved, 0)
    ) as memory_total_bytes,
    coalesce(moments.power, moments.power_instant) as power_w,
    coalesce(moments.power_limit, moments.power_limit_asked) as power_limit_w,
    moments.energy as energy_j,
    moments.temperature as temperature_c,
    moments.memory_temperature as memory_temperature_c,
    moments.sm_clock as sm_clock_hz,
    moments.mem_clock as mem_clock_hz,
    {{ whole('moments.clocks_event_reasons') }} as clocks_event_reasons,
    moments.pcie_rx as pcie_rx_bytes_per_s,
    moments.pcie_tx as pcie_tx_bytes_per_s,
    moments.nvlink_rx as nvlink_rx_bytes_per_s,
    moments.nvlink_tx as nvlink_tx_bytes_per_s,
    {{ whole('moments.ecc_sbe_volatile') }} as ecc_sbe_volatile,
    {{ whole('moments.ecc_dbe_volatile') }} as ecc_dbe_volatile,
    {{ whole('moments.ecc_sbe_aggregate') }} as ecc_sbe_aggregate,
    {{ whole('moments.ecc_dbe_aggregate') }} as ecc_dbe_aggregate,
    {{ whole('moments.remapped_correctable') }} as remapped_rows_correctable,
    {{ whole('moments.remapped_uncorrectable') }} as remapped_rows_uncorrectable,
    {{ whole('moments.remap_pending') }} as row_remap_pending,
    {{ whole('moments.remap_failed') }} as row_remap_failed,
    {{ whole('moments.pcie_replays') }} as pcie_replays,
    {{ whole('coalesce(
        moments.nvlink_crc_flit + coalesce(moments.nvlink_crc_data, 0) + coalesce(moments.nvlink_replay, 0)
        + coalesce(moments.nvlink_recovery, 0),
        moments.nvlink_crc_data + coalesce(moments.nvlink_replay, 0) + coalesce(moments.nvlink_recovery, 0),
        moments.nvlink_replay + coalesce(moments.nvlink_recovery, 0),
        moments.nvlink_recovery
    )') }} as nvlink_errors,
    {{ whole('moments.xid') }} as xid,
    moments.job_id,
    {{ row_text([
        'devices.machine_id', 'devices.gpu_uuid', 'devices.gpu_index', 'devices.mig_id', 'moments.sampled_at',
        'moments.interval_s', 'moments.gpu_util', 'moments.gr_engine_active', 'moments.sm_active', 'moments.sm_occupancy',
        'moments.tensor_active', 'moments.dram_active', 'moments.mem_copy_util', 'moments.memory_used', 'moments.memory_free',
        'moments.memory_reserved', 'moments.memory_total', 'moments.power', 'moments.power_instant', 'moments.power_limit',
        'moments.power_limit_asked', 'moments.energy', 'moments.temperature', 'moments.memory_temperature',
        'moments.sm_clock', 'moments.mem_clock', 'moments.clocks_event_reasons', 'moments.pcie_rx', 'moments.pcie_tx',
        'moments.nvlink_rx', 'moments.nvlink_tx', 'moments.ecc_sbe_volatile', 'moments.ecc_dbe_volatile',
        'moments.ecc_sbe_aggregate', 'moments.ecc_dbe_aggregate', 'moments.remapped_correctable',
        'moments.remapped_uncorrectable', 'moments.remap_pending', 'moments.remap_failed', 'moments.pcie_replays',
        'moments.nvlink_crc_flit', 'moments.nvlink_crc_data', 'moments.nvlink_replay', 'moments.nvlink_recovery',
        'moments.xid', 'moments.job_id',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    moments.landing_id,
    moments.source_row
from moments
inner join devices
    on moments.landing_id = devices.landing_id
        and moments.device_no = devices.device_no
inner join landings
    on moments.landing_id = landings.landing_id
