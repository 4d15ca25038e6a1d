{{ config(materialized='ephemeral') }}

-- One row per delivery, machine and time: sums over its processors and network cards, of how many series each is; a series
-- that a delivery tells twice counts once. Counters are summed as whole numbers, so that no order of rows shows.
with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select * from {{ ref('int_prometheus__node_series') }}
),

seen as (
    select
        samples.landing_id,
        series.machine_id,
        samples.sampled_at,
        series.field,
        max(samples.interval_s) as interval_s,
        min(samples.source_row) as source_row,
        {{ last_by('samples.value', 'samples.source_row') }} as value
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
        samples.sampled_at,
        series.field,
        samples.metric,
        samples.labels,
        samples.machine
)

select
    seen.landing_id,
    seen.machine_id,
    seen.sampled_at,
    max(seen.interval_s) as interval_s,
    min(seen.source_row) as source_row,
    {%- for name, field, micro in [
        ('cpu_idle_us', 'cpu_idle', ' * 1000000'), ('cpu_busy_us', 'cpu_busy', ' * 1000000'),
        ('net_rx_bytes', 'net_rx', ''), ('net_tx_bytes', 'net_tx', ''),
    ] %}
        {%- set value = whole('seen.value' ~ micro) %}
    {{ whole("sum(case when seen.field = '" ~ field ~ "' then " ~ value ~ " end)") }} as {{ name }},
    {%- endfor %}
    count(case when seen.field in ('cpu_idle', 'cpu_busy') then 1 end) as cpu_series,
    count(case when seen.field = 'net_rx' then 1 end) as net_rx_cards,
    count(case when seen.field = 'net_tx' then 1 end) as net_tx_cards,
    max(case when seen.field = 'load_1' then seen.value end) as load_1,
    max(case when seen.field = 'memory_total' then seen.value end) as memory_total_bytes,
    max(case when seen.field = 'memory_available' then seen.value end) as memory_available_bytes,
    max(case when seen.field = 'cpu_cores' then seen.value end) as cpu_cores,
    max(case when seen.field = 'power' then seen.value end) as power_w
from seen
group by
    seen.landing_id,
    seen.machine_id,
    seen.sampled_at
