{{ config(materialized='ephemeral') }}

-- Which devices an attempt held on its machine: those that the latest delivery of the attempt names; where none does, and it
-- held all GPUs of its machine, each of them.
with

delivered as (
    select
        holds.cluster_id,
        holds.job_id,
        holds.attempt_id,
        holds.machine_id,
        {{ gpu_device('coalesce(holds.gpu_index, places.gpu_index)', 'holds.gpu_uuid', 'holds.mig_id') }} as gpu_device,
        holds.landing_no,
        max(holds.landing_no) over (
            partition by holds.cluster_id, holds.job_id, holds.attempt_id, holds.machine_id
        ) as last_landing_no
    from {{ ref('int_delivered_gpu_holds') }} as holds
    left join {{ ref('int_gpu_places') }} as places
        on holds.cluster_id = places.cluster_id
            and holds.machine_id = places.machine_id
            and holds.gpu_uuid = places.gpu_uuid
),

named as (
    select distinct
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        gpu_device
    from delivered
    where landing_no = last_landing_no and gpu_device != ''
)

select
    cluster_id,
    job_id,
    attempt_id,
    machine_id,
    gpu_device,
    count(*) over (partition by cluster_id, job_id, attempt_id, machine_id) as devices
from named
