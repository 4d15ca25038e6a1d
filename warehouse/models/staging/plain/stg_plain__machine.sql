with

machines as (
    select * from {{ source('bronze', 'bronze_plain_machines') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    machines.machine_id,
    machines.gpu_model as gpu_model_source,
    round(machines.gpu_count) as gpu_count,
    round(machines.cpu_cores) as cpu_cores,
    round(machines.memory_bytes) as memory_bytes,
    machines.valid_from_at as valid_from,
    machines.valid_to_at as valid_to,
    false as is_seen,
    {{ row_text([
        'machines.machine_id', 'machines.gpu_count', 'machines.gpu_model', 'machines.cpu_cores',
        'machines.memory_bytes', 'machines.valid_from_at', 'machines.valid_to_at',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    machines.landing_id,
    machines.source_row
from machines
inner join landings
    on machines.landing_id = landings.landing_id
