{{ config(materialized='ephemeral') }}

-- Every attempt of jobs that an event hit: on how many devices, from when to when, and how it ended.
with

hit_jobs as (
    select distinct
        cluster_id,
        job_id
    from {{ ref('silver_event_jobs') }}
),

delivered as (
    select
        *,
        row_number() over (
            partition by cluster_id, job_id, attempt_id, machine_id, started_at
            order by landing_no desc, known_fields desc, source_row desc
        ) as place
    from {{ ref('int_delivered_instances') }}
    where job_id in ({{ asked_first('select distinct job_id from ' ~ ref('silver_event_jobs')) }})
),

statuses as (
    select * from {{ ref('int_status_words') }}
),

devices as (
    select
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        count(*) as devices
    from {{ ref('int_attempt_devices') }}
    group by cluster_id, job_id, attempt_id, machine_id
)

select
    delivered.cluster_id,
    delivered.job_id,
    delivered.attempt_id,
    delivered.machine_id,
    delivered.started_at,
    delivered.ended_at,
    coalesce(statuses.job_status, 'unknown') as attempt_status,
    devices.devices * {{ seconds_between('delivered.started_at', 'delivered.ended_at') }} as held_gpu_s
from delivered
inner join hit_jobs
    on delivered.cluster_id = hit_jobs.cluster_id
        and delivered.job_id = hit_jobs.job_id
left join statuses
    on delivered.source = statuses.source
        and delivered.status_source = statuses.status_source
left join devices
    on delivered.cluster_id = devices.cluster_id
        and delivered.job_id = devices.job_id
        and delivered.attempt_id = devices.attempt_id
        and delivered.machine_id = devices.machine_id
where delivered.place = 1
