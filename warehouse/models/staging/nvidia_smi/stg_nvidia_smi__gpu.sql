with

snapshots as (
    select * from {{ ref('int_nvidia_smi__snapshot') }}
)

select
    cluster_id,
    machine as machine_id,
    gpu_uuid,
    {{ whole('gpu_index') }} as gpu_index,
    mig_id,
    mig_profile,
    product_name as gpu_model_source,
    {{ mib_to_bytes('memory_total_mib') }} as memory_bytes,
    pci_bus_id,
    driver_version,
    sampled_at as seen_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from snapshots
