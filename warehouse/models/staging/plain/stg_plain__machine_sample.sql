with

machine_samples as (
    select * from {{ source('bronze', 'bronze_plain_machine_samples') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    machine_samples.machine_id,
    machine_samples.sampled_at,
    machine_samples.interval_s,
    machine_samples.cpu_util_pct,
    machine_samples.load_1,
    machine_samples.memory_used_bytes,
    machine_samples.memory_total_bytes,
    machine_samples.net_rx_bytes_per_s,
    machine_samples.net_tx_bytes_per_s,
    cast(null as bigint) as cpu_busy_us,
    cast(null as bigint) as cpu_total_us,
    cast(null as bigint) as cpu_series,
    cast(null as bigint) as net_rx_bytes,
    cast(null as bigint) as net_rx_cards,
    cast(null as bigint) as net_tx_bytes,
    cast(null as bigint) as net_tx_cards,
    machine_samples.power_w,
    {{ row_text([
        'machine_samples.machine_id', 'machine_samples.sampled_at', 'machine_samples.interval_s',
        'machine_samples.cpu_util_pct', 'machine_samples.load_1', 'machine_samples.memory_used_bytes',
        'machine_samples.memory_total_bytes', 'machine_samples.net_rx_bytes_per_s',
        'machine_samples.net_tx_bytes_per_s', 'machine_samples.power_w',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    machine_samples.landing_id,
    machine_samples.source_row
from machine_samples
inner join landings
    on machine_samples.landing_id = landings.landing_id
