with

sensors as (
    select * from {{ source('bronze', 'bronze_sensor_table') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    sensors.job_name as job_id,
    sensors.task_name as task_id,
    sensors.worker_name as attempt_id,
    sensors.machine as machine_id,
    sensors.gpu_name as gpu_device,
    cast(null as integer) as gpu_devices,
    cast(null as timestamp) as measured_from,
    cast(null as timestamp) as measured_to,
    'lifetime_mean' as sample_kind,
    'PAI gpu_wrk_util' as gpu_signal,
    sensors.gpu_wrk_util / 100 as gpu_used_count,
    sensors.cpu_usage / 100 as cpu_used_cores,
    {{ gib_to_bytes('sensors.avg_mem') }} as memory_used_bytes_mean,
    {{ gib_to_bytes('sensors.max_mem') }} as memory_used_bytes_max,
    {{ gib_to_bytes('sensors.avg_gpu_wrk_mem') }} as gpu_mem_used_bytes_mean,
    {{ gib_to_bytes('sensors.max_gpu_wrk_mem') }} as gpu_mem_used_bytes_max,
    sensors."read" as net_rx_bytes_per_s,
    sensors."write" as net_tx_bytes_per_s,
    {{ row_text([
        'job_name', 'task_name', 'worker_name', 'inst_id', 'machine', 'gpu_name', 'cpu_usage', 'gpu_wrk_util', 'avg_mem',
        'max_mem', 'avg_gpu_wrk_mem', 'max_gpu_wrk_mem', '"read"', '"write"', 'read_count', 'write_count',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    sensors.landing_id,
    sensors.source_row
from sensors
inner join landings
    on sensors.landing_id = landings.landing_id
