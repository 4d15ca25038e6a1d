with

snapshots as (
    select * from {{ ref('int_rocm_smi__snapshot') }}
)

select
    cluster_id,
    machine as machine_id,
    gpu_uuid,
    {{ whole('gpu_index') }} as gpu_index,
    cast(null as varchar) as mig_id,
    cast(null as varchar) as mig_profile,
    product_name as gpu_model_source,
    memory_total_bytes as memory_bytes,
    pci_bus_id,
    driver_version,
    sampled_at as seen_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from snapshots
