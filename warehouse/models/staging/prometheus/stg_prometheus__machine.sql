with

devices as (
    select * from {{ ref('int_prometheus__gpu_device') }}
),

moments as (
    select * from {{ ref('int_prometheus__node_moment') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

gpus as (
    select
        landing_id,
        machine_id,
        max(gpu_model_source) as gpu_model_source,
        count(distinct coalesce(gpu_uuid, cast(gpu_index as varchar))) as gpu_count,
        min(device_no) as source_row
    from devices
    group by
        landing_id,
        machine_id
),

nodes as (
    select
        landing_id,
        machine_id,
        max(cpu_cores) as cpu_cores,
        max(memory_total_bytes) as memory_bytes,
        min(source_row) as source_row
    from moments
    group by
        landing_id,
        machine_id
),

-- A machine without a GPU's series in a delivery may have GPUs all the same: its exporter may be silent.
joined as (
    select
        gpus.landing_id,
        gpus.machine_id,
        gpus.gpu_model_source,
        gpus.gpu_count,
        nodes.cpu_cores,
        nodes.memory_bytes,
        gpus.source_row
    from gpus
    left join nodes
        on gpus.landing_id = nodes.landing_id
            and gpus.machine_id = nodes.machine_id
)

select
    landings.cluster_id,
    joined.machine_id,
    joined.gpu_model_source,
    joined.gpu_count,
    joined.cpu_cores,
    joined.memory_bytes,
    cast(null as timestamp) as valid_from,
    cast(null as timestamp) as valid_to,
    true as is_seen,
    {{ row_text([
        'joined.machine_id', 'joined.gpu_model_source', 'joined.gpu_count', 'joined.cpu_cores', 'joined.memory_bytes',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    joined.landing_id,
    joined.source_row
from joined
inner join landings
    on joined.landing_id = landings.landing_id
where joined.machine_id is not null
