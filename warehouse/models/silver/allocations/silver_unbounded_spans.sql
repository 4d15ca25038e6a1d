{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

with

instances as (
    select
        *,
        case
            when started_at is not null then 'start only'
            when ended_at is not null then 'end only'
            else 'neither'
        end as known_times
    from {{ ref('int_instances') }}
    where
        (started_at is null or ended_at is null)
        and (machine_id is not null or started_at is not null or ended_at is not null)
),

gpu_tasks as (
    select * from {{ ref('int_gpu_tasks') }}
),

statuses as (
    select * from {{ ref('int_status_words') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select * from {{ ref('int_day_quarters') }}
),

placed as (
    select
        instances.cluster_id,
        instances.job_id,
        days.dt,
        case when clusters.pools = 'all' then 'all' else coalesce(machines.pool, 'unknown machine') end as pool,
        instances.known_times,
        coalesce(statuses.job_status, 'unknown') as instance_status,
        gpu_tasks.held_mgpu,
        {{ utc_to_epoch('instances.started_at') }} as start_s
    from instances
    inner join gpu_tasks
        on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
    inner join clusters
        on instances.cluster_id = clusters.cluster_id
    left join machines
        on instances.cluster_id = machines.cluster_id
            and instances.machine_id = machines.machine_id
    left join statuses
        on instances.source = statuses.source
            and instances.status_source = statuses.status_source
    left join days
        on instances.cluster_id = days.cluster_id
            and {{ quarter_of('coalesce(instances.started_at, instances.ended_at)') }} = days.quarter
)

select
    cluster_id,
    job_id,
    dt,
    pool,
    known_times,
    instance_status,
    count(*) as spans,
    cast(sum(held_mgpu) as bigint) as held_mgpu,
    cast(sum(held_mgpu * start_s) as bigint) as held_mgpu_start_s
from placed
group by cluster_id, job_id, dt, pool, known_times, instance_status
