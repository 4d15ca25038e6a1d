{{ config(materialized='ephemeral') }}

-- GPU-holding attempts that lack a start or an end, each with its limits: it began no earlier than its job was submitted,
-- and ended no later than its job did. A limit that nobody knows, or that contradicts the attempt's own time, is null.
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

jobs as (
    select * from {{ ref('silver_jobs') }}
    where {{ of_touched_jobs() }}
),

statuses as (
    select * from {{ ref('int_status_words') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
)

select
    instances.cluster_id,
    instances.job_id,
    case when clusters.pools = 'all' then 'all' else coalesce(machines.pool, 'unknown machine') end as pool,
    instances.known_times,
    coalesce(statuses.job_status, 'unknown') as instance_status,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    jobs.gpu_model,
    jobs.size_class,
    jobs.job_status,
    jobs.submitted_day,
    gpu_tasks.held_mgpu,
    instances.started_at,
    instances.ended_at,
    coalesce(
        instances.started_at, case when jobs.submitted_at > instances.ended_at then null else jobs.submitted_at end
    ) as from_at,
    coalesce(instances.ended_at, case when jobs.ended_at < instances.started_at then null else jobs.ended_at end) as to_at
from instances
inner join gpu_tasks
    on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
inner join clusters
    on instances.cluster_id = clusters.cluster_id
left join jobs
    on instances.cluster_id = jobs.cluster_id
        and instances.job_id = jobs.job_id
left join machines
    on instances.cluster_id = machines.cluster_id
        and instances.machine_id = machines.machine_id
        and {{ is_valid_at('machines', "coalesce(instances.started_at, instances.ended_at, timestamp '9999-12-31')") }}
left join statuses
    on instances.source = statuses.source
        and instances.status_source = statuses.status_source
