{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

-- GPU-seconds are of whole GPUs, but for the amounts in mgpu_s, which are those of the accounting.
with

attempts as (
    select * from {{ ref('int_attempt_measures') }}
),

jobs as (
    select
        cluster_id,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        cast(sum(gpus * held_s) as bigint) as gpu_s,
        cast(sum(gpus * measured_s) as bigint) as measured_gpu_s,
        cast(sum(gpus * busy_s) as bigint) as busy_gpu_s,
        cast(sum(gpus * readings) as bigint) as readings,
        cast(sum(gpus * busy_readings) as bigint) as busy_readings,
        sum(used_ngpu) as readings_ngpu,
        cast(sum(case when readings > 0 then gpus else 0 end) as bigint) as reporting_gpus,
        cast(sum(case when readings > 0 then gpus * held_s else 0 end) as bigint) as reporting_gpu_s,
        sum(case when readings > 0 then {{ whole('used_ngpu / readings') }} else 0 end) as mean_ngpu,
        sum(case when readings > 0 then {{ whole('used_ngpu / readings * held_s') }} else 0 end) as used_ngpu_s,
        sum(case when readings > 0 then {{ whole('used_ngpu / readings / gpus * held_s') }} else 0 end) as device_ngpu_s,
        cast(sum(case when readings > 0 and used_ngpu = 0 then gpus * held_s else 0 end) as bigint) as unused_gpu_s
    from attempts
    group by cluster_id, job_id
)

-- Job Defense Shield leaves out a job that uses more than all of its GPUs.
select
    cluster_id,
    job_id,
    allocated_mgpu_s,
    active_mgpu_s,
    unknown_mgpu_s,
    zero_util_mgpu_s,
    gpu_s,
    measured_gpu_s,
    busy_gpu_s,
    readings,
    busy_readings,
    cast(readings_ngpu as decimal(38, 0)) as readings_ngpu,
    reporting_gpus,
    reporting_gpu_s,
    cast(mean_ngpu as decimal(38, 0)) as mean_ngpu,
    cast(used_ngpu_s as decimal(38, 0)) as used_ngpu_s,
    cast(device_ngpu_s as decimal(38, 0)) as device_ngpu_s,
    case when used_ngpu_s <= reporting_gpu_s * 1000000000 then reporting_gpu_s else 0 end as shield_gpu_s,
    cast(case when used_ngpu_s <= reporting_gpu_s * 1000000000 then used_ngpu_s else 0 end as decimal(38, 0))
        as shield_ngpu_s,
    unused_gpu_s as shield_unused_gpu_s
from jobs
