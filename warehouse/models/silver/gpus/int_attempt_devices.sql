{{ config(materialized='ephemeral') }}

-- Which devices an attempt held on its machine, and by what that is known: those that the latest delivery of the attempt
-- names (device); where none does and it held all GPUs of its machine, each of them (whole_node); else those beside whose
-- samples its name stands (label).
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

found as (
    select distinct
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        gpu_device,
        1 as way_no
    from delivered
    where landing_no = last_landing_no and gpu_device != ''
    union all
    select distinct
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        cast({{ each_number(0, 'gpu_count - 1') }} as varchar) as gpu_device,
        2 as way_no
    from {{ ref('int_gpu_attempts') }}
    where gpu_count > 0 and held_mgpu = gpu_count * 1000
    union all
    select
        cluster_id,
        job_id,
        attempt_id,
        machine_id,
        gpu_device,
        3 as way_no
    from {{ ref('int_labelled_devices') }}
),

ranked as (
    select
        *,
        min(way_no) over (partition by cluster_id, job_id, attempt_id, machine_id) as first_way_no
    from found
)

select
    cluster_id,
    job_id,
    attempt_id,
    machine_id,
    gpu_device,
    case way_no when 1 then 'device' when 2 then 'whole_node' else 'label' end as attribution,
    count(*) over (partition by cluster_id, job_id, attempt_id, machine_id) as devices
from ranked
where way_no = first_way_no
