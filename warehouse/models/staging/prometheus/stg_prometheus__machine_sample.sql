with

moments as (
    select * from {{ ref('int_prometheus__node_moment') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

followed as (
    select
        *,
        lag(cpu_idle_s) over machine as cpu_idle_s_before,
        lag(cpu_busy_s) over machine as cpu_busy_s_before,
        lag(net_rx_bytes) over machine as net_rx_bytes_before,
        lag(net_tx_bytes) over machine as net_tx_bytes_before,
        lag(cards) over machine as cards_before,
        lag(sampled_at) over machine as sampled_before_at
    from moments
    window machine as (partition by landing_id, machine_id order by sampled_at)
),

grown as (
    select
        *,
        {{ seconds_between('sampled_before_at', 'sampled_at') }} as seconds,
        cpu_idle_s - cpu_idle_s_before as idle_s,
        cpu_busy_s - cpu_busy_s_before as busy_s,
        case when cards = cards_before then net_rx_bytes - net_rx_bytes_before end as rx_bytes,
        case when cards = cards_before then net_tx_bytes - net_tx_bytes_before end as tx_bytes
    from followed
)

-- Processors and network cards count since the machine started. What they have grown by since the sample before is told; the
-- first sample of a delivery, and the first after a restart, tells nothing of them.
select
    landings.cluster_id,
    grown.machine_id,
    grown.sampled_at,
    grown.interval_s,
    case
        when grown.idle_s >= 0 and grown.busy_s >= 0
            then 100 * grown.busy_s / cast(nullif(grown.idle_s + grown.busy_s, 0) as double)
    end as cpu_util_pct,
    grown.load_1,
    grown.memory_total_bytes - grown.memory_available_bytes as memory_used_bytes,
    grown.memory_total_bytes,
    case when grown.rx_bytes >= 0 then grown.rx_bytes / grown.seconds end as net_rx_bytes_per_s,
    case when grown.tx_bytes >= 0 then grown.tx_bytes / grown.seconds end as net_tx_bytes_per_s,
    grown.power_w,
    {{ row_text([
        'grown.machine_id', 'grown.sampled_at', 'grown.cpu_idle_s', 'grown.cpu_busy_s', 'grown.load_1',
        'grown.memory_available_bytes', 'grown.net_rx_bytes', 'grown.net_tx_bytes', 'grown.power_w',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    grown.landing_id,
    grown.source_row
from grown
inner join landings
    on grown.landing_id = landings.landing_id
