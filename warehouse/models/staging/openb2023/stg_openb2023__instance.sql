with

pods as (
    select * from {{ source('bronze', 'bronze_openb2023_pod') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- A pod that was deleted before it was scheduled has run for no time: neither start nor end.
select
    landings.cluster_id,
    pods.name as job_id,
    'pod' as task_id,
    pods.name as instance_id,
    pods.name as attempt_id,
    cast(null as varchar) as machine_id,
    pods.pod_phase as status_source,
    pods.scheduled_time as start_s,
    {{ epoch_to_utc('pods.scheduled_time') }} as started_at,
    case when pods.scheduled_time is not null then {{ epoch_to_utc('pods.deletion_time') }} end as ended_at,
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
