{% if is_full_build() -%}
-- A full build reads every sample.
select
    cast(null as varchar) as cluster_id,
    cast(null as timestamp) as from_at,
    cast(null as timestamp) as to_at,
    cast(null as timestamp) as first_day_at,
    cast(null as timestamp) as end_day_at
where false
{%- else -%}
with

-- The sample before one that comes ends otherwise, the one after it begins and counts otherwise.
reached as (
    select distinct
        cluster_id,
        least(before_at, hour_start_at - interval 1 hour - interval_s * interval 1 second) as from_at,
        greatest(after_at, hour_start_at + interval 1 hour + interval_s * interval 1 second) as to_at
    from {{ ref('int_pending_gpu_hours') }}
),

ends as (
    select
        min(from_at) as first_at,
        max(to_at) as last_at
    from reached
),

-- The last sample of each device before the first of these: it may still speak.
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
    reached.cluster_id,
    reached.from_at,
    reached.to_at,
    {{ utc_day_of('least(ends.first_at, (select min(before.last_at) from before))') }} as first_day_at,
    {{ utc_day_of('ends.last_at + interval 26 hour') }} + interval 24 hour as end_day_at
from reached
cross join ends
{%- endif %}
