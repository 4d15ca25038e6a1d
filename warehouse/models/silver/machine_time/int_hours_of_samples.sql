{{ config(materialized='ephemeral') }}

-- What samples of a machine say of its hour: they are cut at the borders of days and hours.
with

samples as (
    select * from {{ ref('int_machine_samples') }}
    where from_s < to_s
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
),

days as (
    select * from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

covered_days as (
    select
        samples.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from samples
    inner join quarters as opening
        on samples.cluster_no * 1000000000 + samples.from_s // 900 = opening.quarter_key
            and samples.from_s >= opening.starts_s
            and samples.from_s < opening.ends_s
    inner join quarters as closing
        on samples.cluster_no * 1000000000 + (samples.to_s - 1) // 900 = closing.quarter_key
            and samples.to_s > closing.starts_s
            and samples.to_s <= closing.ends_s
),

parts as (
    select
        covered_days.*,
        days.dt,
        days.starts_at,
        days.day_s,
        greatest(covered_days.from_s, days.starts_s) - days.starts_s as part_from_s,
        least(covered_days.to_s, days.ends_s) - days.starts_s as part_to_s
    from covered_days
    inner join days
        on covered_days.day_no = days.day_no
),

hours as (
    select
        *,
        {{ each_number('part_from_s // 3600', '(part_to_s - 1) // 3600') }} as hour_no
    from parts
),

pieces as (
    select
        *,
        least(part_to_s, (hour_no + 1) * 3600) - greatest(part_from_s, hour_no * 3600) as piece_s
    from hours
)

select
    cluster_id,
    machine_id,
    dt,
    starts_at + hour_no * interval 1 hour as hour_start_at,
    least(3600, day_s - hour_no * 3600) as hour_s,
    {%- for amount, short in {
        'cpu_micro_pct': 'cpu', 'load_micro': 'load', 'net_bytes': 'net', 'sent_bytes': 'sent',
        'memory_bytes': 'memory',
    }.items() %}
    cast(sum(case when {{ amount }} is not null then piece_s else 0 end) as bigint) as {{ short }}_covered_s,
    cast(sum({{ amount }} * piece_s) as bigint) as {{ short }}_sum,
    {%- endfor %}
    max(memory_total_bytes) as memory_total_bytes
from pieces
group by cluster_id, machine_id, dt, starts_at, day_s, hour_no
having count(coalesce(cpu_micro_pct, load_micro, net_bytes, sent_bytes, memory_bytes)) > 0
