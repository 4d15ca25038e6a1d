with

pods as (
    select * from {{ source('bronze', 'bronze_openb2023_pod') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    pods.name as job_id,
    cast(null as varchar) as instance_id,
    cast(null as varchar) as user_id,
    cast(null as varchar) as group_id,
    pods.qos as queue,
    pods.pod_phase as status_source,
    pods.creation_time as start_time,
    pods.deletion_time as end_time,
    {{ epoch_to_utc('pods.creation_time') }} as submitted_at,
    {{ epoch_to_utc('pods.deletion_time') }} as ended_at,
    {{ row_text([
        'name', 'cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli', 'gpu_spec', 'qos', 'pod_phase', 'creation_time',
        'deletion_time', 'scheduled_time',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    pods.landing_id,
    pods.source_row
from pods
inner join landings
    on pods.landing_id = landings.landing_id
