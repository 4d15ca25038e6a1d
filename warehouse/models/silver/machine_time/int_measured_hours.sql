{{ config(materialized='ephemeral') }}

-- What is said of a machine's hour, by windows, by samples of its GPUs and by samples of itself. Where single GPUs were
-- measured, their samples are what is said of the GPUs; where windows tell of anything else, they are what is said of that.
with

gpus as (
    select * from {{ ref('int_hours_of_gpus') }}
),

windows as (
    select * from {{ ref('int_hours_of_windows') }}
),

samples as (
    select * from {{ ref('int_hours_of_samples') }}
)

select
    coalesce(windows.cluster_id, gpus.cluster_id, samples.cluster_id) as cluster_id,
    coalesce(windows.machine_id, gpus.machine_id, samples.machine_id) as machine_id,
    coalesce(windows.dt, gpus.dt, samples.dt) as dt,
    coalesce(windows.hour_start_at, gpus.hour_start_at, samples.hour_start_at) as hour_start_at,
    coalesce(windows.hour_s, gpus.hour_s, samples.hour_s) as hour_s,
    coalesce(gpus.gpu_covered_s, windows.gpu_covered_s, 0) as gpu_covered_s,
    coalesce(gpus.gpu_pct_us, windows.gpu_pct_us) as gpu_pct_us,
    coalesce(gpus.gpu_pct_us, windows.gpu_pct_weighted_us) as gpu_pct_weighted_us,
    coalesce(gpus.gpu_pct_us, windows.gpu_swept_pct_us) as gpu_swept_pct_us,
    case when gpus.machine_id is not null then 'sampled' else windows.gpu_method end as gpu_method,
    case when gpus.machine_id is null then windows.gpu_micro_variance end as gpu_micro_variance,
    case when gpus.machine_id is null then windows.gpu_micro_share end as gpu_micro_share,
    case when windows.cpu_covered_s > 0 then windows.cpu_method else 'sampled' end as cpu_method,
    windows.cpu_micro_variance,
    windows.cpu_micro_share,
    windows.solution,
    {%- for short, total in {'cpu': 'cpu_pct_us', 'load': 'load_us', 'net': 'net_byte_s'}.items() %}
    coalesce(nullif(windows.{{ short }}_covered_s, 0), samples.{{ short }}_covered_s, 0) as {{ short }}_covered_s,
    case when windows.{{ short }}_covered_s > 0 then windows.{{ total }} else samples.{{ short }}_sum end as {{ total }},
    {%- endfor %}
    coalesce(samples.sent_covered_s, 0) as sent_covered_s,
    samples.sent_sum as sent_byte_s,
    coalesce(samples.memory_covered_s, 0) as memory_covered_s,
    samples.memory_sum as memory_byte_s,
    samples.memory_total_bytes
from windows
full outer join gpus
    on windows.cluster_id = gpus.cluster_id
        and windows.machine_id = gpus.machine_id
        and windows.hour_start_at = gpus.hour_start_at
full outer join samples
    on coalesce(windows.cluster_id, gpus.cluster_id) = samples.cluster_id
        and coalesce(windows.machine_id, gpus.machine_id) = samples.machine_id
        and coalesce(windows.hour_start_at, gpus.hour_start_at) = samples.hour_start_at
