{{ config(materialized='ephemeral') }}

-- One row per delivery, metric and set of labels of node_exporter and its like: the machine that they name. Where it is
-- scraped by an address, its kernel's name (node_uname_info) is its name, since that is the one that GPUs and jobs have.
with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select distinct
        landing_id,
        metric,
        labels,
        machine
    from samples
    where metric like 'node_%' or metric like 'ipmi_%'
),

named as (
    select
        landing_id,
        metric,
        labels,
        machine,
        {{ machine_of_series('labels', 'machine') }} as scraped_as,
        case when metric = 'node_uname_info' then {{ label('labels', 'nodename') }} end as kernel_name,
        {{ label('labels', 'mode') }} as cpu_mode,
        {{ label('labels', 'device') }} as device
    from series
),

kernels as (
    select
        landing_id,
        scraped_as,
        max(kernel_name) as kernel_name
    from named
    where kernel_name is not null
    group by
        landing_id,
        scraped_as
)

-- A bond's bytes are those of its parts; what containers and bridges move is moved by no card.
select
    named.landing_id,
    named.metric,
    named.labels,
    named.machine,
    coalesce(kernels.kernel_name, named.scraped_as) as machine_id,
    case
        when named.metric = 'node_cpu_seconds_total' and named.cpu_mode in ('idle', 'iowait') then 'cpu_idle'
        when named.metric = 'node_cpu_seconds_total' and named.cpu_mode in ('guest', 'guest_nice') then null
        when named.metric = 'node_cpu_seconds_total' then 'cpu_busy'
        when named.metric = 'node_load1' then 'load_1'
        when named.metric = 'node_memory_MemTotal_bytes' then 'memory_total'
        when named.metric = 'node_memory_MemAvailable_bytes' then 'memory_available'
        when named.metric = 'node_cpu_cores' then 'cpu_cores'
        when named.metric = 'ipmi_dcmi_power_consumption_watts' then 'power'
        when {{ is_no_card('named.device') }} then null
        when named.metric = 'node_network_receive_bytes_total' then 'net_rx'
        when named.metric = 'node_network_transmit_bytes_total' then 'net_tx'
    end as field
from named
left join kernels
    on named.landing_id = kernels.landing_id
        and named.scraped_as = kernels.scraped_as
