{{ config(materialized='ephemeral') }}

-- One row per delivery, machine and time: sums over its processors and network cards.
with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select * from {{ ref('int_prometheus__node_series') }}
)

select
    samples.landing_id,
    series.machine_id,
    samples.sampled_at,
    max(samples.interval_s) as interval_s,
    min(samples.source_row) as source_row,
    sum(case when series.field = 'cpu_idle' then samples.value end) as cpu_idle_s,
    sum(case when series.field = 'cpu_busy' then samples.value end) as cpu_busy_s,
    sum(case when series.field = 'net_rx' then samples.value end) as net_rx_bytes,
    sum(case when series.field = 'net_tx' then samples.value end) as net_tx_bytes,
    count(case when series.field = 'net_rx' then 1 end) as cards,
    max(case when series.field = 'load_1' then samples.value end) as load_1,
    max(case when series.field = 'memory_total' then samples.value end) as memory_total_bytes,
    max(case when series.field = 'memory_available' then samples.value end) as memory_available_bytes,
    max(case when series.field = 'cpu_cores' then samples.value end) as cpu_cores,
    max(case when series.field = 'power' then samples.value end) as power_w
from samples
inner join series
    on samples.landing_id = series.landing_id
        and samples.metric = series.metric
        and samples.labels = series.labels
        and samples.machine is not distinct from series.machine
where series.field is not null
group by
    samples.landing_id,
    series.machine_id,
    samples.sampled_at
