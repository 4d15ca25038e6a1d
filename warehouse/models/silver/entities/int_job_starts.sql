{{ config(materialized='ephemeral') }}

-- When a job started. An instance that was placed on a machine without a recorded start may have been the first: then
-- the job's start is not known, and the earliest recorded one is only the latest that it can have been. An instance was
-- placed if it has a machine or a start to show for it.
with

instances as (
    select * from {{ ref('int_instances') }}
)

select
    cluster_id,
    job_id,
    {{ epoch_to_utc('min(start_s)') }} as started_by_at,
    greatest({{ epoch_to_utc('max(start_s)') }}, max(ended_at)) as last_seen_at,
    count(case when machine_id is not null or start_s is not null then 1 end) > 0 as was_placed,
    case
        when count(case when machine_id is not null and start_s is null then 1 end) = 0
            then {{ epoch_to_utc('min(start_s)') }}
    end as started_at
from instances
group by cluster_id, job_id
