{{ config(materialized='view') }}

with

judged as (
    select
        *,
        case when judgement <> 'not_judged' then avg_gpu_util end as judged_avg_gpu_util,
        case when judgement <> 'not_judged' then p95_gpu_util end as judged_p95_gpu_util
    from {{ ref('gold_cluster_util_daily_scored') }}
),

ranked as (
    select
        *,
        row_number() over (partition by cluster_id order by judged_avg_gpu_util asc nulls last, dt asc) as from_lowest,
        row_number() over (partition by cluster_id order by judged_avg_gpu_util desc nulls last, dt asc) as from_highest,
        row_number() over (partition by cluster_id order by coverage_ratio asc nulls last, dt asc) as from_least_covered
    from judged
),

summed as (
    select
        cluster_id,
        count(*) as window_days,
        min(dt) as first_day,
        max(dt) as last_day,
        {%- for what, mean in [('gpu', 'avg_gpu_util'), ('core', 'avg_cpu_util')] %}
        cast(sum(cast({{ what }}_pct_s as decimal(38, 6))) as double) as {{ what }}_pct_s,
        cast(sum(covered_{{ what }}_s) as bigint) as covered_{{ what }}_s,
        {{ variance_of_days(what ~ '_pct_h_variance', mean) }} as {{ what }}_pct_h_variance,
        {{ shared_variance_of_days(what ~ '_shared_variance', 'covered_' ~ what ~ '_s') }} as {{ what }}_shared_variance,
        cast(sum(capacity_{{ what }}_s) as bigint) as capacity_{{ what }}_s,
        {%- endfor %}
        max(case when from_lowest = 1 and judged_avg_gpu_util is not null then dt end) as lowest_day,
        min(judged_avg_gpu_util) as lowest_avg_gpu_util,
        max(case when from_highest = 1 and judged_avg_gpu_util is not null then dt end) as highest_day,
        max(judged_avg_gpu_util) as highest_avg_gpu_util,
        min(judged_p95_gpu_util) as lowest_p95_gpu_util,
        max(judged_p95_gpu_util) as highest_p95_gpu_util,
        max(case when from_least_covered = 1 and coverage_ratio is not null then dt end) as lowest_coverage_day,
        min(coverage_ratio) as lowest_coverage_ratio,
        cast(sum(cast(gpu_pct_windows as decimal(38, 6))) as double) as gpu_pct_windows,
        cast(sum(gpu_windows) as bigint) as gpu_windows,
        cast(sum(windows) as bigint) as windows,
        cast(sum(over_capacity_windows) as bigint) as over_capacity_windows,
        count(case when judgement = 'anomaly' then 1 end) as flagged_days,
        count(case when judgement = 'not_judged' then 1 end) as not_judged_days
    from ranked
    group by cluster_id
)

select
    cluster_id,
    window_days,
    first_day,
    last_day,
    gpu_pct_s / nullif(covered_gpu_s, 0) as avg_gpu_util,
    core_pct_s / nullif(covered_core_s, 0) as avg_cpu_util,
    {{ mean_bound('core', -1) }} as avg_cpu_util_low,
    {{ mean_bound('core', 1) }} as avg_cpu_util_high,
    core_pct_h_variance,
    covered_gpu_s / nullif(capacity_gpu_s, 0) as coverage_ratio,
    {{ mean_bound('gpu', -1) }} as avg_gpu_util_low,
    {{ mean_bound('gpu', 1) }} as avg_gpu_util_high,
    gpu_pct_h_variance,
    gpu_pct_s,
    covered_gpu_s,
    capacity_gpu_s,
    core_pct_s,
    covered_core_s,
    capacity_core_s,
    lowest_day,
    lowest_avg_gpu_util,
    highest_day,
    highest_avg_gpu_util,
    lowest_p95_gpu_util,
    highest_p95_gpu_util,
    lowest_coverage_day,
    lowest_coverage_ratio,
    gpu_pct_windows / nullif(gpu_windows, 0) as avg_gpu_util_unweighted,
    gpu_pct_windows,
    gpu_windows,
    windows,
    over_capacity_windows,
    flagged_days,
    not_judged_days
from summed
