{{ config(materialized='view') }}

with

daily as (
    select * from {{ ref('gold_cluster_util_daily') }}
),

scores as (
    select * from {{ ref('gold_detector_days') }}
    where is_shown
),

held as (
    select * from {{ ref('int_held_use_days') }}
)

select
    daily.cluster_id,
    daily.dt,
    daily.day_no,
    daily.day_label,
    daily.avg_gpu_util,
    daily.p95_gpu_util,
    daily.avg_gpu_util_low,
    daily.avg_gpu_util_high,
    daily.p95_gpu_util_low,
    daily.p95_gpu_util_high,
    daily.avg_cpu_util,
    daily.avg_cpu_util_low,
    daily.avg_cpu_util_high,
    daily.coverage_ratio,
    daily.covered_gpu_s,
    daily.capacity_gpu_s,
    daily.covered_core_s,
    daily.capacity_core_s,
    daily.gpu_pct_s,
    daily.gpu_pct_h_variance,
    daily.gpu_shared_variance,
    daily.core_pct_s,
    daily.core_pct_h_variance,
    daily.core_shared_variance,
    daily.covered_machines,
    daily.machine_hours,
    daily.avg_gpu_util_unweighted,
    daily.p95_gpu_util_unweighted,
    daily.avg_cpu_util_unweighted,
    daily.windows,
    daily.gpu_pct_windows,
    daily.gpu_windows,
    daily.cpu_pct_windows,
    daily.cpu_windows,
    daily.over_capacity_windows,
    scores.anomaly_flag,
    scores.anomaly_score,
    scores.expected_gpu_util,
    scores.expected_low,
    scores.expected_high,
    held.allocated_gpu_util,
    held.active_gpu_h,
    held.measured_gpu_h,
    held.allocated_gpu_h,
    scores.expected_allocated_gpu_util,
    scores.expected_allocated_low,
    scores.expected_allocated_high,
    held.typical_job_gpu_util,
    held.weighted_use,
    held.weights,
    held.measured_jobs,
    held.jobs,
    scores.expected_typical_gpu_util,
    scores.expected_typical_low,
    scores.expected_typical_high,
    scores.anomaly_p_value,
    scores.anomaly_driver,
    {{ of_driver('daily.avg_gpu_util', 'held.allocated_gpu_util', 'held.typical_job_gpu_util') }} as seen,
    {{ of_driver(
        'scores.expected_gpu_util', 'scores.expected_allocated_gpu_util', 'scores.expected_typical_gpu_util'
    ) }} as expected,
    scores.anomaly_reason,
    coalesce(scores.judgement, 'not_judged') as judgement
from daily
left join scores
    on daily.cluster_id = scores.cluster_id
        and daily.dt = scores.dt
left join held
    on daily.cluster_id = held.cluster_id
        and daily.dt = held.dt
