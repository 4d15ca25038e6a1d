{{ config(materialized='ephemeral') }}

-- What the GPUs did that jobs held, per day: as a share of their time, and by a typical job.
with

-- Decimals add up to the same in any order.
held as (
    select
        cluster_id,
        dt,
        cast(sum(cast(active_gpu_h as decimal(18, 6))) as double) as active_gpu_h,
        cast(sum(cast(measured_gpu_h as decimal(18, 6))) as double) as measured_gpu_h,
        cast(sum(cast(allocated_gpu_h as decimal(18, 6))) as double) as allocated_gpu_h
    from {{ ref('gold_cluster_util_hourly') }}
    group by cluster_id, dt
),

typical as (
    select * from {{ ref('gold_typical_job_daily') }}
)

select
    held.*,
    {{ ratio('100 * held.active_gpu_h', 'held.measured_gpu_h') }} as allocated_gpu_util,
    typical.typical_job_gpu_util,
    typical.weighted_use,
    typical.weights,
    typical.measured_jobs,
    typical.jobs
from held
left join typical
    on held.cluster_id = typical.cluster_id
        and held.dt = typical.dt
