with

tasks as (
    select * from {{ source('bronze', 'bronze_task_table') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    tasks.job_name as job_id,
    tasks.task_name as task_id,
    tasks.status as status_source,
    tasks.inst_num as instance_count,
    tasks.plan_cpu / 100 as cpu_request_cores,
    {{ gib_to_bytes('tasks.plan_mem') }} as memory_request_bytes,
    tasks.plan_gpu / 100 as gpu_request_count,
    tasks.gpu_type as gpu_model_source,
    {{ epoch_to_utc(pai_seconds('tasks.start_time')) }} as submitted_at,
    {{ epoch_to_utc(pai_seconds('tasks.end_time')) }} as ended_at,
    {{ row_text([
        'job_name', 'task_name', 'inst_num', 'status', 'start_time', 'end_time',
        'plan_cpu', 'plan_mem', 'plan_gpu', 'gpu_type',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    tasks.landing_id,
    tasks.source_row
from tasks
inner join landings
    on tasks.landing_id = landings.landing_id
