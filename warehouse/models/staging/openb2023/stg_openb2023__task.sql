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
    'pod' as task_id,
    pods.pod_phase as status_source,
    1 as instance_count,
    pods.cpu_milli / 1000 as cpu_request_cores,
    {{ mib_to_bytes('pods.memory_mib') }} as memory_request_bytes,
    case when pods.num_gpu > 0 then pods.num_gpu * pods.gpu_milli / 1000 end as gpu_request_count,
    cast(null as varchar) as gpu_model_source,
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
