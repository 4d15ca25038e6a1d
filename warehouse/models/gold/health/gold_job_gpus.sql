{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

with

devices as (
    select * from {{ ref('int_attempt_devices') }}
    where {{ of_touched_jobs() }}
)

select
    cluster_id,
    job_id,
    attempt_id,
    machine_id,
    {{ whole_device('gpu_device') }} as gpu_device,
    max(gpu_device != {{ whole_device('gpu_device') }}) as is_part,
    max(attribution) as attribution
from devices
group by cluster_id, job_id, attempt_id, machine_id, {{ whole_device('gpu_device') }}
