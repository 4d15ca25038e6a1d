{{ config(materialized='ephemeral') }}

-- One row per delivery, device and time: its fields side by side, in gpu_sample's units. A device that several pods
-- share has the same value once for each; whose it is cannot be told then, so no job is named.
{%- set fields = [
    'gpu_util', 'gr_engine_active', 'sm_active', 'sm_occupancy', 'tensor_active', 'dram_active', 'mem_copy_util', 'memory_used',
    'memory_free', 'memory_reserved', 'memory_total', 'power', 'power_instant', 'power_limit', 'power_limit_asked', 'energy',
    'temperature', 'memory_temperature', 'sm_clock', 'mem_clock', 'clocks_event_reasons', 'pcie_rx', 'pcie_tx', 'nvlink_rx',
    'nvlink_tx', 'ecc_sbe_volatile', 'ecc_dbe_volatile', 'ecc_sbe_aggregate', 'ecc_dbe_aggregate', 'remapped_correctable',
    'remapped_uncorrectable', 'remap_pending', 'remap_failed', 'pcie_replays', 'nvlink_crc_flit', 'nvlink_crc_data',
    'nvlink_replay', 'nvlink_recovery', 'xid',
] %}

with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

fields as (
    select * from {{ ref('int_prometheus__dcgm_field') }}
),

series as (
    select * from {{ ref('int_prometheus__gpu_series') }}
)

select
    samples.landing_id,
    series.device_no,
    samples.sampled_at,
    max(samples.interval_s) as interval_s,
    min(samples.source_row) as source_row,
    case when min(series.job_id) = max(series.job_id) then min(series.job_id) end as job_id,
    {%- for field in fields %}
    max(case when fields.field = '{{ field }}' then samples.value * fields.factor end)
        as {{ field }}{{ ',' if not loop.last }}
    {%- endfor %}
from samples
inner join fields
    on samples.metric = fields.metric
inner join series
    on samples.landing_id = series.landing_id
        and samples.labels = series.labels
        and samples.machine is not distinct from series.machine
group by
    samples.landing_id,
    series.device_no,
    samples.sampled_at
