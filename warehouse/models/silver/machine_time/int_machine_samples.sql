{{ config(materialized='ephemeral') }}

-- What is told of a machine at one second, whoever tells it: of each amount what was told last, so that deliveries of
-- single metrics add up. It speaks of the seconds up to its time: at the most its interval, and that a day, and none that
-- the sample before has spoken of. Where no interval is told, it is its machine's usual step then.
with

clusters as (
    select
        cluster_id,
        cluster_no,
        min(starts_s) as first_s
    from {{ ref('int_days') }}
    group by cluster_id, cluster_no
),

believed as (
    select
        cluster_id,
        machine_id,
        {{ utc_to_epoch('sampled_at') }} as at_s,
        interval_s,
        {{ plausible_amounts('machine_sample') }},
        {{ wide_integer('landing_no') }} * 1000000000000000 + source_row as told_no
    from {{ ref('int_delivered_machine_samples') }}
    where {{ in_sampled_range('sampled_at') }}
),

samples as (
    select
        clusters.cluster_no,
        clusters.first_s,
        believed.cluster_id,
        believed.machine_id,
        believed.at_s,
        nullif({{ whole(last_by('believed.interval_s', 'believed.told_no')) }}, 0) as interval_s,
        {{ whole(last_by('believed.cpu_util_pct', 'believed.told_no') ~ ' * 1000000') }} as cpu_micro_pct,
        {{ whole(last_by('believed.load_1', 'believed.told_no') ~ ' * 1000000') }} as load_micro,
        {{ whole(last_by('believed.net_rx_bytes_per_s', 'believed.told_no')) }} as net_bytes,
        {{ whole(last_by('believed.net_tx_bytes_per_s', 'believed.told_no')) }} as sent_bytes,
        {{ last_by('believed.memory_used_bytes', 'believed.told_no') }} as memory_bytes,
        {{ last_by('believed.memory_total_bytes', 'believed.told_no') }} as memory_total_bytes
    from believed
    inner join clusters
        on believed.cluster_id = clusters.cluster_id
    group by clusters.cluster_no, clusters.first_s, believed.cluster_id, believed.machine_id, believed.at_s
),

neighbours as (
    select
        *,
        lag(at_s) over (partition by cluster_no, machine_id order by at_s) as previous_s
    from samples
),

usual_steps as (
    select
        cluster_no,
        machine_id,
        at_s // 86400 as utc_day,
        {{ whole(exact_quantile('at_s - previous_s', 0.5)) }} as usual_s
    from neighbours
    where interval_s is null
    group by cluster_no, machine_id, utc_day
),

steps as (
    select
        neighbours.*,
        coalesce(neighbours.interval_s, usual_steps.usual_s) as step_s
    from neighbours
    left join usual_steps
        on neighbours.cluster_no = usual_steps.cluster_no
            and neighbours.machine_id = usual_steps.machine_id
            and neighbours.at_s // 86400 = usual_steps.utc_day
)

select
    *,
    greatest(at_s - least(step_s, 86400), previous_s, first_s) as from_s,
    at_s as to_s
from steps
where step_s > 0
