with

machines as (
    select * from {{ source('bronze', 'bronze_machine_spec') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    machines.machine as machine_id,
    machines.gpu_type as gpu_model_source,
    round(machines.cap_gpu) as gpu_count,
    round(machines.cap_cpu) as cpu_cores,
    {{ gib_to_bytes('machines.cap_mem') }} as memory_bytes,
    cast(null as timestamp) as valid_from,
    cast(null as timestamp) as valid_to,
    false as is_seen,
    {{ row_text(['machine', 'gpu_type', 'cap_cpu', 'cap_mem', 'cap_gpu']) }} as row_text,
    landings.source,
    landings.landing_no,
    machines.landing_id,
    machines.source_row
from machines
inner join landings
    on machines.landing_id = landings.landing_id
