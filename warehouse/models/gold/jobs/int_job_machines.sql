{{ config(materialized='ephemeral') }}

-- The machines on which jobs held GPUs: how many, and the GPUs of the largest. Not known where a source names none, or
-- leaves one out. A machine counts as it was when the job first held GPUs on it.
with

parts as (
    select
        {{ row_key(['cluster_id', 'job_id']) }} as job_key,
        case when machine_id is not null then {{ row_key(['cluster_id', 'machine_id']) }} end as machine_key,
        start_s
    from {{ ref('silver_allocation_days') }}
    where {{ of_due_jobs_on_their_days() }}
),

machines as (
    select
        {{ row_key(['cluster_id', 'machine_id']) }} as machine_key,
        gpu_count,
        valid_from,
        valid_to
    from {{ ref('silver_machines') }}
),

used as (
    select
        job_key,
        machine_key,
        {{ epoch_to_utc('min(start_s)') }} as first_held_at
    from parts
    group by job_key, machine_key
)

select
    used.job_key,
    case when count(*) = count(used.machine_key) then count(*) end as machines_used,
    case when count(*) = count(used.machine_key) then max(machines.gpu_count) end as largest_gpu_count
from used
left join machines
    on used.machine_key = machines.machine_key
        and {{ is_valid_at('machines', 'used.first_held_at') }}
group by used.job_key
