{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ delete_touched_days('machine_window') }}",
) }}

with

days as (
    select * from {{ ref('silver_days') }}
    where {{ not_yet_here('cluster_id, dt') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

machine_hours as (
    select * from {{ ref('silver_machine_hours') }}
    where {{ touched_days_only('machine_window') }}
),

windows as (
    select * from {{ ref('silver_gpu_timeseries') }}
    where {{ touched_days_only('machine_window') }}
),

capacity as (
    select
        cluster_id,
        cast(sum(gpu_count) as bigint) as gpus,
        cast(sum(cpu_cores) as bigint) as cores
    from machines
    group by cluster_id
),

covered as (
    select
        cluster_id,
        dt,
        cast(sum(gpu_covered_s * gpu_count) as bigint) as covered_gpu_s,
        cast(sum(cpu_covered_s * cpu_cores) as bigint) as covered_core_s,
        sum(case when gpu_count > 0 then gpu_pct_s end) as gpu_pct_s,
        sum(cpu_pct_s * cpu_cores) as core_pct_s,
        count(distinct machine_id) as covered_machines,
        count(case when gpu_covered_s * 2 >= hour_s then gpu_util_pct end) as machine_hours,
        {{ exact_quantile('case when gpu_covered_s * 2 >= hour_s then cast(gpu_util_pct as double) end', 0.95) }}
            as p95_gpu_util
    from machine_hours
    group by cluster_id, dt
),

unweighted as (
    {{ unweighted_days('windows') }}
)

select
    days.cluster_id,
    days.dt,
    cast(covered.gpu_pct_s / nullif(covered.covered_gpu_s, 0) as double) as avg_gpu_util,
    covered.p95_gpu_util,
    cast(covered.core_pct_s / nullif(covered.covered_core_s, 0) as double) as avg_cpu_util,
    coalesce(covered.covered_gpu_s, 0) / nullif(capacity.gpus * days.day_s, 0) as coverage_ratio,
    case when capacity.gpus is not null then coalesce(covered.covered_gpu_s, 0) end as covered_gpu_s,
    capacity.gpus * days.day_s as capacity_gpu_s,
    case when capacity.cores is not null then coalesce(covered.covered_core_s, 0) end as covered_core_s,
    capacity.cores * days.day_s as capacity_core_s,
    cast(covered.gpu_pct_s as double) as gpu_pct_s,
    cast(covered.core_pct_s as double) as core_pct_s,
    coalesce(covered.covered_machines, 0) as covered_machines,
    coalesce(covered.machine_hours, 0) as machine_hours,
    unweighted.avg_gpu_util as avg_gpu_util_unweighted,
    unweighted.p95_gpu_util as p95_gpu_util_unweighted,
    unweighted.avg_cpu_util as avg_cpu_util_unweighted,
    coalesce(unweighted.windows, 0) as windows,
    coalesce(unweighted.over_capacity_windows, 0) as over_capacity_windows
from days
left join capacity
    on days.cluster_id = capacity.cluster_id
left join covered
    on days.cluster_id = covered.cluster_id
        and days.dt = covered.dt
left join unweighted
    on days.cluster_id = unweighted.cluster_id
        and days.dt = unweighted.dt
order by
    days.cluster_id,
    days.dt
