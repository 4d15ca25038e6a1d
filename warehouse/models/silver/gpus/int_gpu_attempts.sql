{{ config(materialized='ephemeral') }}

-- Attempts on machines of which single GPUs are known: from when to when, how many GPUs each held, and how many the machine
-- had. Jobs whose use is told of themselves need no devices for it, and are left out.
with

known as (
    select distinct
        cluster_id,
        machine_id
    from {{ ref('silver_gpus') }}
),

measured as (
    select distinct
        cluster_id,
        job_id
    from {{ ref('int_delivered_usages') }}
    where cluster_id in (select known.cluster_id from known)
),

tasks as (
    select
        cluster_id,
        job_id,
        task_id,
        {{ whole(last_by(plausible('task', 'gpu_request_count'), 'landing_no') ~ ' * 1000') }} as held_mgpu
    from {{ ref('int_delivered_tasks') }}
    where cluster_id in (select known.cluster_id from known)
    group by cluster_id, job_id, task_id
),

machines as (
    select * from {{ ref('silver_machines') }}
),

instances as (
    select
        *,
        row_number() over (
            partition by cluster_id, job_id, attempt_id, started_at
            order by landing_no desc, known_fields desc, source_row desc
        ) as place
    from {{ ref('int_delivered_instances') }}
    where
        cluster_id in (select known.cluster_id from known)
        and started_at is not null
)

select
    instances.cluster_id,
    instances.job_id,
    instances.attempt_id,
    instances.machine_id,
    instances.started_at,
    instances.ended_at,
    tasks.held_mgpu,
    machines.gpu_count
from instances
inner join known
    on instances.cluster_id = known.cluster_id
        and instances.machine_id = known.machine_id
inner join tasks
    on instances.cluster_id = tasks.cluster_id
        and instances.job_id = tasks.job_id
        and instances.task_id = tasks.task_id
left join measured
    on instances.cluster_id = measured.cluster_id
        and instances.job_id = measured.job_id
left join machines
    on instances.cluster_id = machines.cluster_id
        and instances.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'instances.started_at') }}
where instances.place = 1 and tasks.held_mgpu > 0 and measured.job_id is null
