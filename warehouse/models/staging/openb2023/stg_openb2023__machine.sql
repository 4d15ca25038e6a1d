with

nodes as (
    select * from {{ source('bronze', 'bronze_openb2023_node') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    nodes.sn as machine_id,
    nodes.model as gpu_model_source,
    round(nodes.gpu) as gpu_count,
    round(nodes.cpu_milli / 1000) as cpu_cores,
    {{ mib_to_bytes('nodes.memory_mib') }} as memory_bytes,
    cast(null as timestamp) as valid_from,
    cast(null as timestamp) as valid_to,
    false as is_seen,
    {{ row_text(['sn', 'cpu_milli', 'memory_mib', 'gpu', 'model']) }} as row_text,
    landings.source,
    landings.landing_no,
    nodes.landing_id,
    nodes.source_row
from nodes
inner join landings
    on nodes.landing_id = landings.landing_id
