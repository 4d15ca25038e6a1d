{{ config(materialized='ephemeral') }}

-- Measures of jobs, and of all jobs of a cluster together: a row without a job.
select
    cluster_id,
    job_id,
    1 as jobs,
    allocated_mgpu_s,
    active_mgpu_s,
    unknown_mgpu_s,
    zero_util_mgpu_s,
    gpu_s,
    measured_gpu_s,
    busy_gpu_s,
    readings,
    busy_readings,
    readings_ngpu,
    reporting_gpus,
    reporting_gpu_s,
    mean_ngpu,
    used_ngpu_s,
    device_ngpu_s,
    shield_gpu_s,
    shield_ngpu_s,
    shield_unused_gpu_s
from {{ ref('silver_job_measures') }}
union all
select
    cluster_id,
    cast(null as varchar) as job_id,
    count(*) as jobs,
    sum(allocated_mgpu_s) as allocated_mgpu_s,
    sum(active_mgpu_s) as active_mgpu_s,
    sum(unknown_mgpu_s) as unknown_mgpu_s,
    sum(zero_util_mgpu_s) as zero_util_mgpu_s,
    sum(gpu_s) as gpu_s,
    sum(measured_gpu_s) as measured_gpu_s,
    sum(busy_gpu_s) as busy_gpu_s,
    sum(readings) as readings,
    sum(busy_readings) as busy_readings,
    sum(readings_ngpu) as readings_ngpu,
    sum(reporting_gpus) as reporting_gpus,
    sum(reporting_gpu_s) as reporting_gpu_s,
    sum(mean_ngpu) as mean_ngpu,
    sum(used_ngpu_s) as used_ngpu_s,
    sum(device_ngpu_s) as device_ngpu_s,
    sum(shield_gpu_s) as shield_gpu_s,
    sum(shield_ngpu_s) as shield_ngpu_s,
    sum(shield_unused_gpu_s) as shield_unused_gpu_s
from {{ ref('silver_job_measures') }}
group by cluster_id
