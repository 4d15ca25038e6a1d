{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

job_days as (
    select
        cluster_id,
        dt,
        user_id,
        efficiency_ratio,
        case when efficiency_ratio is not null then 1 else 0 end as is_measured
    from {{ ref('gold_job_efficiency_daily') }}
    where {{ of_due_days() }} and allocated_gpu_h > 0
),

counted as (
    select
        *,
        sum(is_measured) over (partition by cluster_id, dt) as measured_jobs,
        sum(is_measured) over (partition by cluster_id, dt, user_id) as measured_jobs_of_user
    from job_days
),

-- Each job once, but no user for more than a twentieth of all: one user's thousand jobs are not the fleet.
weighted as (
    select
        *,
        cast(least(1.0, 0.05 * measured_jobs / nullif(measured_jobs_of_user, 0)) as decimal(18, 6)) as job_weight
    from counted
)

select
    cluster_id,
    dt,
    cast(100 * sum(case when is_measured = 1 then cast(job_weight * efficiency_ratio as decimal(18, 6)) end)
        / nullif(sum(case when is_measured = 1 then job_weight end), 0) as double) as typical_job_gpu_util,
    {{ ratio('sum(is_measured)', 'count(*)') }} as measured_jobs_ratio,
    cast(sum(case when is_measured = 1 then cast(job_weight * efficiency_ratio as decimal(18, 6)) end) as double)
        as weighted_use,
    cast(sum(case when is_measured = 1 then job_weight end) as double) as weights,
    cast(sum(is_measured) as bigint) as measured_jobs,
    count(*) as jobs
from weighted
group by cluster_id, dt
