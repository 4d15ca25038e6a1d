{{ config(materialized='ephemeral') }}

-- The plain mean over rows: every window counts once, on the day it ends, whatever its length and its machine's size.
select
    cluster_id,
    dt,
    {{ exact_mean('gpu_util_pct') }} as avg_gpu_util,
    {{ exact_quantile('gpu_util_pct', 0.95) }} as p95_gpu_util,
    {{ exact_mean('cpu_util_pct') }} as avg_cpu_util,
    count(*) as windows,
    count(gpu_util_pct) as gpu_windows,
    count(case when over_capacity then 1 end) as over_capacity_windows
from {{ ref('silver_gpu_timeseries') }}
where {{ of_due_days() }}
group by cluster_id, dt
