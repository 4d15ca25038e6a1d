{{ config(materialized='ephemeral') }}

-- The plain mean over rows: every window counts once, on the day it ends, whatever its length and its machine's size.
select
    cluster_id,
    dt,
    {{ exact_sum('gpu_util_pct') }} as gpu_pct_windows,
    {{ exact_count('gpu_util_pct') }} as gpu_windows,
    {{ exact_quantile('gpu_util_pct', 0.95) }} as p95_gpu_util,
    {{ exact_sum('cpu_util_pct') }} as cpu_pct_windows,
    {{ exact_count('cpu_util_pct') }} as cpu_windows,
    count(*) as windows,
    count(case when over_capacity then 1 end) as over_capacity_windows
from {{ ref('silver_gpu_timeseries') }}
where {{ of_due_days() }}
group by cluster_id, dt
