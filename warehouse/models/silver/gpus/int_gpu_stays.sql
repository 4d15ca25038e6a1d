{{ config(materialized='ephemeral') }}

-- Each stay of a device in one place: from when it was first seen there to when it was last, before it was seen elsewhere.
with

sightings as (
    select
        *,
        {{ device_key('gpu_uuid', 'machine_id', 'gpu_device', 'mig_id') }} as device_key
    from {{ ref('int_gpu_sightings') }}
),

moves as (
    select
        *,
        case
            when
                lag(machine_id) over in_time = machine_id and lag(gpu_device) over in_time = gpu_device
                then 0
            else 1
        end as has_moved
    from sightings
    window in_time as (partition by cluster_id, device_key order by first_seen_at nulls first, last_seen_at, machine_id)
),

stays as (
    select
        *,
        sum(has_moved) over (
            partition by cluster_id, device_key
            order by first_seen_at nulls first, last_seen_at, machine_id
            rows unbounded preceding
        ) as stay_no
    from moves
),

spans as (
    select
        cluster_id,
        device_key,
        machine_id,
        gpu_device,
        stay_no,
        max(gpu_index) as gpu_index,
        max(gpu_uuid) as gpu_uuid,
        max(mig_id) as mig_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        max(memory_bytes) as memory_bytes
    from stays
    group by cluster_id, device_key, machine_id, gpu_device, stay_no
)

select
    *,
    case
        when
            stay_no > 1
            or row_number() over (partition by cluster_id, machine_id, gpu_device order by first_seen_at, device_key) > 1
            then first_seen_at
    end as valid_from,
    least(
        lead(first_seen_at) over (partition by cluster_id, device_key order by stay_no),
        lead(first_seen_at) over (partition by cluster_id, machine_id, gpu_device order by first_seen_at, device_key)
    ) as valid_to
from spans
