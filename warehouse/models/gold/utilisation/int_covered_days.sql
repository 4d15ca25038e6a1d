{{ config(materialized='ephemeral') }}

-- What a cluster's machine-hours add up to, per day. The 95th percentile is over those that are covered for at least half.
with

hours as (
    select
        *,
        case when gpu_covered_s * 2 >= hour_s then cast(gpu_util_weighted_pct as double) end as half_covered_gpu_util_pct
    from {{ ref('silver_machine_hours') }}
    where {{ of_due_days() }}
)

-- A day has an error where each of its hours has one.
select
    cluster_id,
    dt,
    cast(sum(gpu_covered_s * gpu_count) as bigint) as covered_gpu_s,
    cast(sum(cpu_covered_s * cpu_cores) as bigint) as covered_core_s,
    sum(case when gpu_count > 0 then gpu_pct_s end) as gpu_pct_s,
    sum(cpu_pct_s * cpu_cores) as core_pct_s,
    count(distinct machine_id) as covered_machines,
    count(half_covered_gpu_util_pct) as machine_hours,
    {{ exact_quantile('half_covered_gpu_util_pct', 0.95) }} as p95_gpu_util,
    sum(case when gpu_count > 0 then gpu_swept_pct_s end) as gpu_swept_pct_s,
    {{ summed_variance('gpu_pct_h_variance', where='gpu_count > 0 and gpu_covered_s > 0') }} as gpu_pct_h_variance,
    {{ summed_variance('cpu_pct_h_variance * (cpu_cores * cpu_cores)', where='cpu_cores > 0 and cpu_covered_s > 0') }}
        as core_pct_h_variance,
    {{ shared_variance('gpu_left_out_reconstructed_pct', 'gpu_left_out_pct') }} as gpu_shared_variance,
    {{ shared_variance('cpu_left_out_reconstructed_pct', 'cpu_left_out_pct') }} as core_shared_variance
from hours
group by cluster_id, dt
