{{ config(materialized='ephemeral') }}

-- One row per delivery and set of labels of a GPU: the device that they name. Series of one device share its number, which
-- is that of its first row.
with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select
        landing_id,
        labels,
        machine,
        min(source_row) as first_row
    from samples
    where metric like 'DCGM_FI_%'
    group by
        landing_id,
        labels,
        machine
),

named as (
    select
        landing_id,
        labels,
        machine,
        first_row,
        {{ machine_of_series('labels', 'machine') }} as machine_id,
        {{ label('labels', 'UUID') }} as gpu_uuid,
        {{ whole_label('labels', 'gpu') }} as gpu_index,
        {{ label('labels', 'GPU_I_ID') }} as mig_id,
        {{ label('labels', 'GPU_I_PROFILE') }} as mig_profile,
        {{ label('labels', 'modelName') }} as gpu_model_source,
        {{ pci_address(label('labels', 'pci_bus_id')) }} as pci_bus_id,
        {{ label('labels', 'DCGM_FI_DRIVER_VERSION') }} as driver_version,
        {{ job_of_series('labels') }} as job_id,
        {{ pod_of_series('labels') }} as pod_id,
        {{ label('labels', 'hpc_job') }} as hpc_job_id,
        {{ label('labels', 'err_msg') }} as error_text
    from series
)

select
    landing_id,
    labels,
    machine,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id,
    mig_profile,
    gpu_model_source,
    pci_bus_id,
    driver_version,
    job_id,
    pod_id,
    hpc_job_id,
    error_text,
    first_row,
    min(first_row) over (
        partition by landing_id, machine_id, gpu_uuid, gpu_index, mig_id
    ) as device_no
from named
where coalesce(gpu_uuid, cast(gpu_index as varchar)) is not null
