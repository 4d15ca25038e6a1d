{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

with

attempts as (
    select
        *,
        coalesce(started_at, ended_at) as known_at,
        {{ utc_to_epoch('from_at') }} as from_s,
        {{ utc_to_epoch('to_at') }} as to_s
    from {{ ref('int_unbounded_attempts') }}
),

days as (
    select * from {{ ref('int_day_quarters') }}
)

select
    attempts.cluster_id,
    attempts.job_id,
    known_days.dt,
    last_days.dt as last_day,
    attempts.pool,
    attempts.known_times,
    attempts.instance_status,
    attempts.user_id,
    attempts.group_id,
    attempts.queue,
    attempts.gpu_model,
    attempts.size_class,
    attempts.job_status,
    attempts.submitted_day,
    count(*) as spans,
    cast(sum(attempts.held_mgpu) as bigint) as held_mgpu,
    cast(coalesce(sum(attempts.held_mgpu * attempts.from_s), 0) as bigint) as held_mgpu_from_s,
    cast(coalesce(sum(attempts.held_mgpu * attempts.to_s), 0) as bigint) as held_mgpu_to_s,
    cast(sum(case when attempts.from_s is null then attempts.held_mgpu else 0 end) as bigint) as no_from_mgpu,
    cast(sum(case when attempts.to_s is null then attempts.held_mgpu else 0 end) as bigint) as no_to_mgpu
from attempts
left join days as known_days
    on attempts.cluster_id = known_days.cluster_id
        and {{ quarter_of('attempts.known_at') }} = known_days.quarter
        and attempts.known_at >= known_days.starts_at
        and attempts.known_at < known_days.ends_at
left join days as last_days
    on attempts.cluster_id = last_days.cluster_id
        and {{ quarter_of('attempts.to_at') }} = last_days.quarter
        and attempts.to_at >= last_days.starts_at
        and attempts.to_at < last_days.ends_at
group by
    attempts.cluster_id, attempts.job_id, known_days.dt, last_days.dt, attempts.pool, attempts.known_times,
    attempts.instance_status, attempts.user_id, attempts.group_id, attempts.queue, attempts.gpu_model, attempts.size_class,
    attempts.job_status, attempts.submitted_day
