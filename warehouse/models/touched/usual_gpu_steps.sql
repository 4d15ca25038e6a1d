{% if is_full_build() -%}
-- A full build looks at every sample where it needs the steps (int_usual_steps).
select
    cast(null as varchar) as cluster_id,
    {{ row_hash(["''"]) }} as device_key,
    cast(null as bigint) as utc_day,
    cast(null as bigint) as usual_s,
    cast(null as bigint) as standing_samples
where false
{%- else -%}
with

pending as (
    select * from {{ ref('int_standing_samples') }}
),

beaten as (
    select * from {{ ref('beaten_gpu_samples') }}
),

standing as {{ inlined() }} (
    select * from {{ as_it_was('silver_gpu_samples') }}
    where not ({{ pending_only() }}) and {{ in_reached_days('sampled_at', reach_h=26) }}
),

-- Where all samples tell their interval, nobody asks.
unstated as (
    select cluster_id
    from standing
    where interval_s is null
    union
    select cluster_id
    from pending
    where interval_s is null
),

told as (
    select
        standing.cluster_id,
        {{ device_hash('standing') }} as device_key,
        {{ utc_to_epoch('standing.sampled_at') }} as at_s,
        {{ whole('nullif(standing.interval_s, 0)') }} as interval_s,
        true as stands
    from standing
    left join beaten
        on standing.landing_id = beaten.landing_id
            and standing.source_row = beaten.source_row
    where beaten.source_row is null and standing.cluster_id in (select unstated.cluster_id from unstated)
    union all
    select
        pending.cluster_id,
        {{ device_hash('pending') }} as device_key,
        {{ utc_to_epoch('pending.sampled_at') }} as at_s,
        {{ whole('nullif(pending.interval_s, 0)') }} as interval_s,
        false as stands
    from pending
    where pending.cluster_id in (select unstated.cluster_id from unstated)
),

neighbours as (
    select
        *,
        lead(at_s) over (partition by device_key order by at_s) as next_s
    from told
)

select
    cluster_id,
    device_key,
    at_s // 86400 as utc_day,
    {{ whole(exact_quantile('next_s - at_s', 0.5)) }} as usual_s,
    count(case when stands then 1 end) as standing_samples
from neighbours
where interval_s is null and {{ in_reached_days(epoch_to_utc('at_s')) }}
group by cluster_id, device_key, utc_day
{%- endif %}
