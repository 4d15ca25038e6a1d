{{ config(materialized='ephemeral') }}

-- The variance of a day's 95th percentile: of the mean of the hours around it, the highest tenth. A machine errs alike in
-- all of its hours there, machines err independently, and smooth hours hide two points of a peak.
with

hours as (
    select
        cluster_id,
        dt,
        machine_id,
        cast(gpu_util_weighted_pct as double) as gpu_util_pct,
        cast(gpu_pct_variance as double) / nullif(gpu_count * gpu_count, 0) as variance
    from {{ ref('silver_machine_hours') }}
    where gpu_covered_s * 2 >= hour_s and gpu_util_weighted_pct is not null and {{ of_due_days() }}
),

tenths as (
    select
        cluster_id,
        dt,
        {{ exact_quantile('gpu_util_pct', 0.9) }} as from_gpu_util_pct
    from hours
    group by cluster_id, dt
),

machines as (
    select
        hours.cluster_id,
        hours.dt,
        count(*) as hours,
        sum(cast(hours.variance as decimal(18, 6))) as variances
    from hours
    inner join tenths
        on hours.cluster_id = tenths.cluster_id
            and hours.dt = tenths.dt
            and hours.gpu_util_pct >= tenths.from_gpu_util_pct
    group by hours.cluster_id, hours.dt, hours.machine_id
)

select
    cluster_id,
    dt,
    cast(sum(hours * variances) as double) / (sum(hours) * sum(hours)) + 4 as p95_gpu_util_variance
from machines
group by cluster_id, dt
