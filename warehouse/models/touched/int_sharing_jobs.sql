{{ config(materialized='ephemeral') }}

-- Jobs that may have been on a device together with one that pending landings name, by what was told of it before or is
-- told with them: what was measured then is of both, so of neither alone. Where nobody names the devices of a job it may
-- have been on any of its machine.
with

pairs as (
    select * from {{ ref('int_jobs_beside') }}
),

devices as (
    select
        cluster_id,
        job_id,
        machine_id,
        gpu_device,
        min({{ pending_only() }}) as is_new
    from {{ ref('int_told_devices') }}
    where machine_id in (select pairs.machine_id from pairs)
    group by cluster_id, job_id, machine_id, gpu_device
),

told as (
    select
        pairs.*,
        min(devices.is_new) as are_devices_new
    from pairs
    left join devices
        on pairs.cluster_id = devices.cluster_id
            and pairs.machine_id = devices.machine_id
            and pairs.job_id = devices.job_id
    group by all
)

select distinct
    told.cluster_id,
    told.other_job_id as job_id
from told
left join devices as mine
    on told.cluster_id = mine.cluster_id
        and told.machine_id = mine.machine_id
        and told.job_id = mine.job_id
left join devices as theirs
    on told.cluster_id = theirs.cluster_id
        and told.machine_id = theirs.machine_id
        and told.other_job_id = theirs.job_id
where
    coalesce(mine.gpu_device = theirs.gpu_device, true)
    or (told.are_devices_new and not told.is_new)
