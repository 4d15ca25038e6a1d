{{ config(materialized='ephemeral') }}

-- What was delivered of allocations, each with its name and the GPUs that it held: as counted, else as the devices named.
with

allocations as (
    select * from {{ source('bronze', 'bronze_plain_allocations') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

listed as (
    select
        landings.cluster_id,
        landings.source,
        landings.landing_no,
        allocations.*,
        {{ plain_indices('allocations.gpu_indices') }} as indices,
        {{ plain_names('allocations.gpu_uuids') }} as uuids
    from allocations
    inner join landings
        on allocations.landing_id = landings.landing_id
)

-- Attempts of one job on one machine are told apart by their own name, else by their start; parts of GPUs by theirs.
select
    *,
    coalesce(attempt_id, cast(started_at as varchar), 'not started') as attempt_name,
    concat(
        coalesce(attempt_id, cast(started_at as varchar), 'not started'), ' on ', machine_id,
        case when mig_id is not null then concat(', MIG ', coalesce(gpu_indices, gpu_uuids, ''), '/', mig_id) else '' end
    ) as machine_attempt_id,
    coalesce(
        gpu_count,
        coalesce({{ list_size('indices') }}, {{ list_size('uuids') }}) * coalesce(gpu_share_ratio, 1)
    ) as held_gpus
from listed
