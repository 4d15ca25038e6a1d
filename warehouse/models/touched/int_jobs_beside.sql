{{ config(materialized='ephemeral') }}

-- Jobs that were on a machine while one was that pending landings name, where it was before or where it is now; those whose
-- GPUs are known only. Who has not ended is there still.
with

machines as (
    select distinct
        cluster_id,
        machine_id
    from {{ as_it_was('silver_gpus') }}
),

pending as (
    select * from {{ ref('int_pending_jobs') }}
),

landings as (
    select landings.landing_id
    from pending
    inner join {{ ref('job_landings') }} as job_landings
        on {{ row_hash(['pending.cluster_id', 'pending.job_id']) }} = job_landings.key_hash
    inner join {{ source('meta', 'landings') }} as landings
        on job_landings.landing_no = landings.landing_no
),

stays as (
    select
        cluster_id,
        job_id,
        machine_id,
        started_at,
        coalesce(ended_at, timestamp '9999-12-31') as ended_at,
        {{ pending_only() }} as is_pending
    from {{ ref('int_delivered_instances') }}
    where
        machine_id in (select machines.machine_id from machines)
        and landing_id in (select landings.landing_id from landings)
        and (cluster_id, job_id) in (select (pending.cluster_id, pending.job_id) from pending)
        and started_at is not null
),

others as (
    select
        cluster_id,
        job_id,
        machine_id,
        started_at,
        coalesce(ended_at, timestamp '9999-12-31') as ended_at
    from {{ ref('int_delivered_instances') }}
    where
        machine_id in (select stays.machine_id from stays)
        and started_at < (select max(stays.ended_at) from stays)
        and (ended_at is null or ended_at > (select min(stays.started_at) from stays))
)

select
    stays.cluster_id,
    stays.machine_id,
    stays.job_id,
    others.job_id as other_job_id,
    min(stays.is_pending) as is_new
from stays
inner join others
    on stays.cluster_id = others.cluster_id
        and stays.machine_id = others.machine_id
        and stays.job_id != others.job_id
        and stays.started_at < others.ended_at
        and stays.ended_at > others.started_at
group by stays.cluster_id, stays.machine_id, stays.job_id, others.job_id
