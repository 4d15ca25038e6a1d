{{ config(materialized='ephemeral') }}

-- One row per delivery and device: what the labels of its series say of it.
with

series as (
    select * from {{ ref('int_prometheus__gpu_series') }}
)

select
    landing_id,
    device_no,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id,
    max(mig_profile) as mig_profile,
    max(gpu_model_source) as gpu_model_source,
    max(pci_bus_id) as pci_bus_id,
    max(driver_version) as driver_version
from series
group by
    landing_id,
    device_no,
    machine_id,
    gpu_uuid,
    gpu_index,
    mig_id
