{{ config(materialized='ephemeral') }}

-- Jobs that were on a machine in an hour of which pending samples of its GPUs tell.
with

hours as (
    select distinct
        cluster_id,
        machine_id,
        {{ hour_of('sampled_at') }} as hour_start_at
    from {{ ref('int_delivered_gpu_samples') }}
    where {{ pending_only() }}
),

attempts as (
    select
        cluster_id,
        job_id,
        machine_id,
        started_at,
        ended_at
    from {{ ref('int_delivered_instances') }}
    where
        machine_id in (select hours.machine_id from hours)
        and ended_at > (select min(hours.hour_start_at) - interval 1 hour from hours)
        and started_at < (select max(hours.hour_start_at) + interval 2 hour from hours)
)

select distinct
    attempts.cluster_id,
    attempts.job_id
from attempts
inner join hours
    on attempts.cluster_id = hours.cluster_id
        and attempts.machine_id = hours.machine_id
        and attempts.started_at < hours.hour_start_at + interval 2 hour
        and attempts.ended_at > hours.hour_start_at - interval 1 hour
