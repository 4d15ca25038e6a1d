{{ config(materialized='ephemeral') }}

-- Devices beside whose samples the name of a job stands while an attempt of it runs on that machine. They are what it held
-- only where they are as many as it held: else some are of others, or were never seen.
with

attempts as (
    select * from {{ ref('int_gpu_attempts') }}
),

labels as (
    select
        cluster_id,
        job_id,
        label
    from {{ ref('int_delivered_job_labels') }}
    where label is not null
    union
    select
        cluster_id,
        job_id,
        job_id as label
    from attempts
),

samples as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        sampled_at,
        job_id as label
    from {{ ref('silver_gpu_samples') }}
    where job_id is not null and {{ in_sampled_range('sampled_at') }}
),

parts as (
    select * from {{ ref('int_gpu_parts') }}
),

labelled as (
    select distinct
        attempts.cluster_id,
        attempts.job_id,
        attempts.attempt_id,
        attempts.machine_id,
        attempts.held_mgpu,
        samples.gpu_device
    from attempts
    inner join labels
        on attempts.cluster_id = labels.cluster_id
            and attempts.job_id = labels.job_id
    inner join samples
        on attempts.cluster_id = samples.cluster_id
            and labels.label = samples.label
            and attempts.machine_id = samples.machine_id
            and attempts.started_at <= samples.sampled_at
            and (attempts.ended_at is null or attempts.ended_at > samples.sampled_at)
),

summed as (
    select
        labelled.*,
        count(*) over of_attempt as devices,
        sum(coalesce(parts.device_mgpu, 1000)) over of_attempt as devices_mgpu
    from labelled
    left join parts
        on labelled.cluster_id = parts.cluster_id
            and labelled.machine_id = parts.machine_id
            and labelled.gpu_device = parts.gpu_device
    window of_attempt as (
        partition by labelled.cluster_id, labelled.job_id, labelled.attempt_id, labelled.machine_id
    )
)

select
    cluster_id,
    job_id,
    attempt_id,
    machine_id,
    gpu_device
from summed
where (devices = 1 and held_mgpu <= devices_mgpu) or abs(devices_mgpu - held_mgpu) <= devices
