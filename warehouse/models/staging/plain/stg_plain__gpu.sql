with

gpus as (
    select * from {{ source('bronze', 'bronze_plain_gpus') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    gpus.machine_id,
    gpus.gpu_uuid,
    {{ whole('gpus.gpu_index') }} as gpu_index,
    gpus.mig_id,
    gpus.mig_profile,
    gpus.gpu_model as gpu_model_source,
    gpus.memory_bytes,
    {{ plain_pci_bus_id('gpus.pci_bus_id') }} as pci_bus_id,
    gpus.driver_version,
    gpus.seen_at,
    {{ row_text([
        'gpus.machine_id', 'gpus.gpu_index', 'gpus.gpu_uuid', 'gpus.mig_id', 'gpus.mig_profile', 'gpus.gpu_model',
        'gpus.memory_bytes', 'gpus.pci_bus_id', 'gpus.driver_version', 'gpus.seen_at',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    gpus.landing_id,
    gpus.source_row
from gpus
inner join landings
    on gpus.landing_id = landings.landing_id
