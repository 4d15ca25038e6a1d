{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

with

days as (
    select * from {{ ref('silver_days') }}
    where {{ of_due_days() }}
),

capacity as (
    select * from {{ ref('int_cluster_capacity_days') }}
),

covered as (
    select * from {{ ref('int_covered_days') }}
),

plain as (
    select * from {{ ref('int_plain_means') }}
),

p95_errors as (
    select * from {{ ref('int_p95_errors') }}
),

bounded as (
    select
        covered.*,
        {{ ratio('covered.gpu_pct_s', 'covered.covered_gpu_s') }} as avg_gpu_util,
        {{ fleet_variance('gpu', of='covered.') }} as avg_gpu_util_variance,
        case when covered.gpu_pct_h_variance is not null then p95_errors.p95_gpu_util_variance end as p95_gpu_util_variance,
        {{ ratio('covered.core_pct_s', 'covered.covered_core_s') }} as avg_cpu_util,
        {{ fleet_variance('core', of='covered.') }} as avg_cpu_util_variance
    from covered
    left join p95_errors
        on covered.cluster_id = p95_errors.cluster_id
            and covered.dt = p95_errors.dt
)

select
    days.cluster_id,
    days.dt,
    days.day_no,
    days.day_label,
    cast(covered.gpu_pct_s / nullif(covered.covered_gpu_s, 0) as double) as avg_gpu_util,
    covered.p95_gpu_util,
    {{ bound('covered.avg_gpu_util', 'covered.avg_gpu_util_variance', -1) }} as avg_gpu_util_low,
    {{ bound('covered.avg_gpu_util', 'covered.avg_gpu_util_variance', 1) }} as avg_gpu_util_high,
    {{ bound('covered.p95_gpu_util', 'covered.p95_gpu_util_variance', -1) }} as p95_gpu_util_low,
    {{ bound('covered.p95_gpu_util', 'covered.p95_gpu_util_variance', 1) }} as p95_gpu_util_high,
    cast(covered.core_pct_s / nullif(covered.covered_core_s, 0) as double) as avg_cpu_util,
    {{ bound('covered.avg_cpu_util', 'covered.avg_cpu_util_variance', -1) }} as avg_cpu_util_low,
    {{ bound('covered.avg_cpu_util', 'covered.avg_cpu_util_variance', 1) }} as avg_cpu_util_high,
    coalesce(covered.covered_gpu_s, 0) / nullif(capacity.capacity_gpu_s, 0) as coverage_ratio,
    case when capacity.capacity_gpu_s is not null then coalesce(covered.covered_gpu_s, 0) end as covered_gpu_s,
    capacity.capacity_gpu_s,
    case when capacity.capacity_core_s is not null then coalesce(covered.covered_core_s, 0) end as covered_core_s,
    capacity.capacity_core_s,
    cast(covered.gpu_pct_s as double) as gpu_pct_s,
    {{ ratio('covered.gpu_swept_pct_s', 'covered.covered_gpu_s') }} as avg_gpu_util_swept,
    cast(covered.gpu_swept_pct_s as double) as gpu_swept_pct_s,
    covered.gpu_pct_h_variance,
    case when covered.gpu_pct_h_variance is not null then covered.gpu_shared_variance end as gpu_shared_variance,
    cast(covered.core_pct_s as double) as core_pct_s,
    covered.core_pct_h_variance,
    case when covered.core_pct_h_variance is not null then covered.core_shared_variance end as core_shared_variance,
    coalesce(covered.covered_machines, 0) as covered_machines,
    coalesce(covered.machine_hours, 0) as machine_hours,
    plain.gpu_pct_windows / nullif(plain.gpu_windows, 0) as avg_gpu_util_unweighted,
    plain.p95_gpu_util as p95_gpu_util_unweighted,
    plain.cpu_pct_windows / nullif(plain.cpu_windows, 0) as avg_cpu_util_unweighted,
    coalesce(plain.windows, 0) as windows,
    plain.gpu_pct_windows,
    coalesce(plain.gpu_windows, 0) as gpu_windows,
    plain.cpu_pct_windows,
    coalesce(plain.cpu_windows, 0) as cpu_windows,
    coalesce(plain.over_capacity_windows, 0) as over_capacity_windows
from days
left join capacity
    on days.cluster_id = capacity.cluster_id
        and days.dt = capacity.dt
left join bounded as covered
    on days.cluster_id = covered.cluster_id
        and days.dt = covered.dt
left join plain
    on days.cluster_id = plain.cluster_id
        and days.dt = plain.dt
order by
    days.cluster_id,
    days.dt
