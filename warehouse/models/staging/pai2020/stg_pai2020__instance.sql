with

instances as (
    select * from {{ source('bronze', 'bronze_instance_table') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    instances.job_name as job_id,
    instances.task_name as task_id,
    instances.inst_name as instance_id,
    instances.worker_name as attempt_id,
    instances.machine as machine_id,
    instances.status as status_source,
    {{ pai_seconds('instances.start_time') }} as start_s,
    {{ epoch_to_utc(pai_seconds('instances.start_time')) }} as started_at,
    {{ epoch_to_utc(pai_seconds('instances.end_time')) }} as ended_at,
    {{ row_text([
        'job_name', 'task_name', 'inst_name', 'worker_name', 'inst_id', 'status', 'start_time', 'end_time', 'machine',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    instances.landing_id,
    instances.source_row
from instances
inner join landings
    on instances.landing_id = landings.landing_id
