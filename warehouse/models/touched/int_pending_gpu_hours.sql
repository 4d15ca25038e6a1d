{{ config(materialized='ephemeral') }}

-- Hours of UTC in which devices have pending samples; the hours before and after, at the most a day off, in which samples of
-- theirs begin that stand since the build before, or in which one still speaks; and how far a pending sample speaks.
with

samples as (
    select * from {{ ref('int_delivered_gpu_samples') }}
    where {{ pending_only() }}
),

pending as (
    select
        samples.cluster_id,
        samples.machine_id,
        {{ gpu_device('coalesce(samples.gpu_index, places.gpu_index)', 'samples.gpu_uuid', 'samples.mig_id') }}
            as gpu_device,
        {{ hour_of('samples.sampled_at') }} as hour_start_at,
        max(least(coalesce(samples.interval_s, 0), 86400)) as interval_s,
        count(samples.interval_s) < count(*) as has_no_interval
    from samples
    left join {{ ref('int_gpu_places') }} as places
        on samples.cluster_id = places.cluster_id
            and samples.machine_id = places.machine_id
            and samples.gpu_uuid = places.gpu_uuid
    group by
        samples.cluster_id,
        samples.machine_id,
        {{ gpu_device('coalesce(samples.gpu_index, places.gpu_index)', 'samples.gpu_uuid', 'samples.mig_id') }},
        {{ hour_of('samples.sampled_at') }}
),

known as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        hour_start_at,
        samples > 0 as has_samples
    from {{ as_it_was('silver_gpu_hours') }}
    where {{ within_pending_samples('hour_start_at', reach_h=26) }}
)

select
    pending.cluster_id,
    pending.machine_id,
    pending.gpu_device,
    pending.hour_start_at,
    pending.interval_s,
    pending.has_no_interval,
    max(
        case when known.has_samples and known.hour_start_at < pending.hour_start_at then known.hour_start_at end
    ) as before_at,
    greatest(
        min(case when known.has_samples and known.hour_start_at > pending.hour_start_at then known.hour_start_at end),
        max(case when not known.has_samples and known.hour_start_at > pending.hour_start_at then known.hour_start_at end)
    ) as after_at
from pending
left join known
    on pending.cluster_id = known.cluster_id
        and pending.machine_id = known.machine_id
        and pending.gpu_device = known.gpu_device
        and (
            known.hour_start_at between pending.hour_start_at - interval 26 hour and pending.hour_start_at - interval 1 hour
            or known.hour_start_at between pending.hour_start_at + interval 1 hour
            and pending.hour_start_at + interval 26 hour
        )
group by
    pending.cluster_id,
    pending.machine_id,
    pending.gpu_device,
    pending.hour_start_at,
    pending.interval_s,
    pending.has_no_interval
