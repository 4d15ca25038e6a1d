with

nodes as (
    select * from {{ source('bronze', 'bronze_slurm_node') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    nodes.node as machine_id,
    nodes.gpu_model as gpu_model_source,
    round(nodes.gpus) as gpu_count,
    nodes.cpus as cpu_cores,
    {{ mib_to_bytes('nodes.memory_mib') }} as memory_bytes,
    cast(null as timestamp) as valid_from,
    cast(null as timestamp) as valid_to,
    false as is_seen,
    {{ row_text([
        'nodes.node', 'nodes.gres', 'nodes.gpus', 'nodes.gpu_model', 'nodes.cpus', 'nodes.memory_mib',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    nodes.landing_id,
    nodes.source_row
from nodes
inner join landings
    on nodes.landing_id = landings.landing_id
