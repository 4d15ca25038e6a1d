{{ config(materialized='ephemeral') }}

-- What is told of a machine at one second, whoever tells it: of each amount what was told last, so that deliveries of
-- single metrics add up; of a counter summed over series, the sum of the most of them.
with

clusters as (
    select
        cluster_id,
        cluster_no,
        min(starts_s) as first_s
    from {{ ref('int_days') }}
    group by cluster_id, cluster_no
),

delivered as (
    select
        *,
        {{ wide_integer('landing_no') }} * 1000000000000000 + source_row as told_no
    from {{ ref('int_delivered_machine_samples') }}
    where {{ in_sampled_range('sampled_at') }}
),

believed as (
    select
        cluster_id,
        machine_id,
        sampled_at,
        {{ utc_to_epoch('sampled_at') }} as at_s,
        interval_s,
        {{ plausible_amounts('machine_sample') }},
        cpu_busy_us,
        cpu_total_us,
        net_rx_bytes,
        net_tx_bytes,
        cpu_series,
        net_rx_cards,
        net_tx_cards,
        told_no,
        {%- for counter, series in {
            'cpu_total_us': 'cpu_series', 'net_rx_bytes': 'net_rx_cards', 'net_tx_bytes': 'net_tx_cards',
        }.items() %}
        case
            when {{ counter }} is not null
                then {{ wide_integer(series) }} * 1000000000000000000000000000 + told_no
        end as {{ series }}_no{{ ',' if not loop.last }}
        {%- endfor %}
    from delivered
)

select
    clusters.cluster_no,
    clusters.first_s,
    believed.cluster_id,
    believed.machine_id,
    believed.at_s,
    nullif({{ whole(last_by('believed.interval_s', 'believed.told_no')) }}, 0) as interval_s,
    {{ whole(last_by('believed.cpu_util_pct', 'believed.told_no') ~ ' * 1000000') }} as told_cpu_micro_pct,
    {{ whole(last_by('believed.load_1', 'believed.told_no') ~ ' * 1000000') }} as load_micro,
    {{ whole(last_by('believed.net_rx_bytes_per_s', 'believed.told_no')) }} as told_rx_bytes,
    {{ whole(last_by('believed.net_tx_bytes_per_s', 'believed.told_no')) }} as told_tx_bytes,
    {{ last_by('believed.memory_used_bytes', 'believed.told_no') }} as memory_bytes,
    {{ last_by('believed.memory_total_bytes', 'believed.told_no') }} as memory_total_bytes,
    {{ last_by('believed.cpu_busy_us', 'believed.cpu_series_no') }} as cpu_busy_us,
    {{ last_by('believed.cpu_total_us', 'believed.cpu_series_no') }} as cpu_total_us,
    {{ last_by('believed.cpu_series', 'believed.cpu_series_no') }} as cpu_series,
    {{ last_by('believed.sampled_at', 'believed.cpu_series_no') }} as cpu_at,
    {%- for way in ['rx', 'tx'] %}
    {{ last_by('believed.net_' ~ way ~ '_bytes', 'believed.net_' ~ way ~ '_cards_no') }} as {{ way }}_counted,
    {{ last_by('believed.net_' ~ way ~ '_cards', 'believed.net_' ~ way ~ '_cards_no') }} as {{ way }}_series,
    {{ last_by('believed.sampled_at', 'believed.net_' ~ way ~ '_cards_no') }} as {{ way }}_at{{ ',' if not loop.last }}
    {%- endfor %}
from believed
inner join clusters
    on believed.cluster_id = clusters.cluster_id
group by clusters.cluster_no, clusters.first_s, believed.cluster_id, believed.machine_id, believed.at_s
