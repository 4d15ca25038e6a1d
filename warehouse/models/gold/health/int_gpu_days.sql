{{ config(materialized='ephemeral') }}

-- The days of each GPU in its place: from when it was first seen there until it went elsewhere, or until the last moment at
-- which any GPU of its cluster was seen. So a GPU that nobody sees any more has its days too.
with

gpus as (
    select
        *,
        {{ whole_device('gpu_device') }} as whole_gpu_device,
        max(last_seen_at) over (partition by cluster_id) as cluster_seen_at
    from {{ ref('silver_gpus') }}
),

days as (
    select * from {{ ref('silver_days') }}
    where {{ of_due_days() }}
)

select
    days.cluster_id,
    days.dt,
    gpus.machine_id,
    gpus.whole_gpu_device as gpu_device,
    {{ last_by('gpus.gpu_uuid', 'gpus.first_seen_at') }} as gpu_uuid,
    {{ last_by('gpus.gpu_model', 'gpus.first_seen_at') }} as gpu_model,
    cast({{ seconds_between(
        'greatest(min(days.starts_at), min(gpus.first_seen_at))',
        'least(max(days.ends_at), max(coalesce(gpus.valid_to, gpus.cluster_seen_at)))'
    ) }} as bigint) as expected_s
from gpus
inner join days
    on gpus.cluster_id = days.cluster_id
        and gpus.first_seen_at < days.ends_at
        and coalesce(gpus.valid_to, gpus.cluster_seen_at) > days.starts_at
group by days.cluster_id, days.dt, gpus.machine_id, gpus.whole_gpu_device
