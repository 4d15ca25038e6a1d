{{ config(materialized='ephemeral') }}

-- Which devices an attempt held on its machine, and by what that is known: those that the latest delivery of the attempt
-- names (device); where none does and it held all GPUs of its machine, each of them (whole_node); else those beside whose
-- samples its name stands (label).
with

delivered as (
    select
        *,
        max(landing_no) over (partition by cluster_id, job_id, attempt_id, machine_id) as last_landing_no
    from {{ ref('int_told_devices') }}
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
