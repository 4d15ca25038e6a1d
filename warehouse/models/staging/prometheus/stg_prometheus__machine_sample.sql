with

moments as (
    select * from {{ ref('int_prometheus__node_moment') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- Processors and network cards count since the machine started. Their counters are told as they are, with the number of
-- series that are in each: what they have grown by since the sample before is taken across deliveries (int_machine_samples).
select
    landings.cluster_id,
    moments.machine_id,
    moments.sampled_at,
    moments.interval_s,
    cast(null as double) as cpu_util_pct,
    moments.load_1,
    moments.memory_total_bytes - moments.memory_available_bytes as memory_used_bytes,
    moments.memory_total_bytes,
    cast(null as double) as net_rx_bytes_per_s,
    cast(null as double) as net_tx_bytes_per_s,
    case when moments.cpu_idle_us is not null then moments.cpu_busy_us end as cpu_busy_us,
    moments.cpu_busy_us + moments.cpu_idle_us as cpu_total_us,
    moments.cpu_series,
    moments.net_rx_bytes,
    moments.net_rx_cards,
    moments.net_tx_bytes,
    moments.net_tx_cards,
    moments.power_w,
    {{ row_text([
        'moments.machine_id', 'moments.sampled_at', 'moments.cpu_idle_us', 'moments.cpu_busy_us', 'moments.load_1',
        'moments.memory_available_bytes', 'moments.net_rx_bytes', 'moments.net_tx_bytes', 'moments.power_w',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    moments.landing_id,
    moments.source_row
from moments
inner join landings
    on moments.landing_id = landings.landing_id
