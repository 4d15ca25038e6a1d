{{ config(materialized='view') }}

with

daily as (
    select * from {{ ref('gold_cluster_util_daily') }}
),

scores as (
    select * from {{ source('meta', 'scores') }}
    where detector = '{{ var("scored_by") }}'
),

newest as (
    select max(build_id) as build_id
    from scores
)

select
    {% for column in [
        'cluster_id', 'dt', 'avg_gpu_util', 'p95_gpu_util', 'avg_cpu_util', 'coverage_ratio', 'covered_gpu_s',
        'capacity_gpu_s', 'covered_core_s', 'capacity_core_s', 'gpu_pct_s', 'core_pct_s', 'covered_machines', 'machine_hours',
        'avg_gpu_util_unweighted', 'p95_gpu_util_unweighted', 'avg_cpu_util_unweighted', 'windows', 'over_capacity_windows',
    ] -%}
    daily.{{ column }},
    {% endfor -%}
    scores.anomaly_flag,
    scores.anomaly_score,
    scores.expected_gpu_util,
    scores.expected_low,
    scores.expected_high,
    scores.anomaly_p_value,
    scores.anomaly_driver,
    scores.anomaly_reason,
    coalesce(scores.judgement, 'not_judged') as judgement
from daily
cross join newest
left join scores
    on daily.cluster_id = scores.cluster_id
        and daily.dt = scores.dt
        and newest.build_id = scores.build_id
