with

metrics as (
    select * from {{ source('bronze', 'bronze_machine_metrics') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    metrics.machine as machine_id,
    metrics.worker_name as worker_id,
    {{ epoch_to_utc(pai_seconds('metrics.start_time')) }} as started_at,
    {{ epoch_to_utc(pai_seconds('metrics.end_time')) }} as ended_at,
    metrics.end_time as end_s,
    metrics.machine_gpu as gpu_util_pct,
    metrics.machine_cpu as cpu_util_pct,
    metrics.machine_load_1,
    metrics.machine_net_receive,
    metrics.machine_cpu_iowait,
    metrics.machine_cpu_kernel,
    metrics.machine_cpu_usr,
    metrics.machine_num_worker,
    {{ row_text([
        'worker_name', 'machine', 'start_time', 'end_time', 'machine_cpu_iowait', 'machine_cpu_kernel', 'machine_cpu_usr',
        'machine_gpu', 'machine_load_1', 'machine_net_receive', 'machine_num_worker', 'machine_cpu',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    metrics.landing_id,
    metrics.source_row
from metrics
inner join landings
    on metrics.landing_id = landings.landing_id
