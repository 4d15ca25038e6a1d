{% if is_full_build() -%}
-- A full build reads every sample, so it names no hour.
select
    cast(null as varchar) as cluster_id,
    cast(null as timestamp) as hour_start_at,
    cast(null as timestamp) as reads_from_at
where false
{%- else -%}
with

reached as (
    select * from {{ ref('reached_gpu_hours') }}
),

-- A sample without an interval of its own speaks for its device's usual step of that day of UTC: any other may change it.
moved as (
    select * from {{ ref('int_moved_gpu_steps') }}
),

stretches as (
    select
        reached.cluster_id,
        case
            when moved.cluster_id is null then reached.from_at
            else {{ utc_day_of('reached.from_at') }} - interval 1 hour
        end as from_at,
        case
            when moved.cluster_id is null then reached.to_at
            else {{ utc_day_of('reached.to_at') }} + interval 47 hour
        end as to_at,
        moved.cluster_id is not null as is_by_day
    from reached
    left join moved
        on reached.cluster_id = moved.cluster_id
),

hours as (
    select distinct
        cluster_id,
        {{ epoch_to_utc(each_number(utc_to_epoch('from_at') ~ ' // 3600', utc_to_epoch('to_at') ~ ' // 3600') ~ ' * 3600') }}
            as hour_start_at,
        is_by_day
    from stretches
),

ends as (
    select
        min(hour_start_at) as first_at,
        max(hour_start_at) as last_at,
        max(case when is_by_day then 25 else 0 end) as reach_h
    from hours
),

-- The last sample of each device before the first of these hours: its next one counts from there, and it may still speak.
before as (
    select max(case when known.samples > 0 and known.hour_start_at < ends.first_at then known.hour_start_at end) as last_at
    from {{ as_it_was('silver_gpu_hours') }} as known
    inner join ends
        on known.hour_start_at between ends.first_at - interval 26 hour and ends.last_at
    group by
        known.cluster_id,
        known.machine_id,
        known.gpu_device
    having max(case when known.hour_start_at >= ends.first_at then 1 end) = 1
)

select
    hours.cluster_id,
    hours.hour_start_at,
    least(ends.first_at - ends.reach_h * interval 1 hour, (select min(before.last_at) from before)) as reads_from_at
from hours
cross join ends
{%- endif %}
