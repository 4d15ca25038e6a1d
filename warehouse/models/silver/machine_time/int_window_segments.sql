{{ config(materialized='ephemeral') }}

-- The mean of overlapping windows: each part opens at its first second and closes at its end, and between two such
-- moments the same windows are open. In each second a machine's value is a mean over the windows that cover it, so no
-- second counts twice; over a day the plain mean, in an hour (for the p95) weighted by 1 / window length, which comes
-- nearer the truth of single hours.
with

parts as (
    select * from {{ ref('int_window_days') }}
),

events as (
    select
        parts.machine_no,
        parts.day_no,
        case when borders.sign = 1 then parts.start_s else parts.end_s end as second_no,
        cast(case when parts.gpu_micro_pct is not null then borders.sign else 0 end as smallint) as gpu_windows,
        cast(case when parts.cpu_micro_pct is not null then borders.sign else 0 end as smallint) as cpu_windows,
        cast(case when parts.load_micro is not null then borders.sign else 0 end as smallint) as load_windows,
        cast(case when parts.net_bytes is not null then borders.sign else 0 end as smallint) as net_windows,
        borders.sign * parts.gpu_micro_pct as gpu_micro_pct,
        borders.sign * parts.cpu_micro_pct as cpu_micro_pct,
        borders.sign * parts.load_micro as load_micro,
        borders.sign * parts.net_bytes as net_bytes,
        borders.sign * parts.weight as weight,
        borders.sign * parts.weighted_gpu as weighted_gpu
    from parts
    cross join (values (1), (-1)) as borders (sign)
),

-- Every window closes within its machine and day.
open_windows as (
    {{ sums_before(
        'events', ['machine_no', 'day_no', 'second_no'],
        {
            'open_gpu_windows': 'gpu_windows',
            'open_cpu_windows': 'cpu_windows',
            'open_load_windows': 'load_windows',
            'open_net_windows': 'net_windows',
            'open_gpu_micro_pct': 'gpu_micro_pct',
            'open_cpu_micro_pct': 'cpu_micro_pct',
            'open_load_micro': 'load_micro',
            'open_net_bytes': 'net_bytes',
            'open_weight': 'weight',
            'open_weighted_gpu': 'weighted_gpu',
        },
        previous='previous_second_no',
    ) }}
)

select
    machine_no,
    day_no,
    previous_second_no as start_s,
    second_no as end_s,
    case when open_gpu_windows > 0 then open_gpu_micro_pct / open_gpu_windows end as gpu_micro_pct,
    case when open_gpu_windows > 0 then open_weighted_gpu / open_weight * 1000000 end as gpu_weighted_micro_pct,
    case when open_cpu_windows > 0 then open_cpu_micro_pct / open_cpu_windows end as cpu_micro_pct,
    case when open_load_windows > 0 then open_load_micro / open_load_windows end as load_micro,
    case when open_net_windows > 0 then open_net_bytes / open_net_windows end as net_bytes
from open_windows
where
    second_no > previous_second_no
    and (open_gpu_windows > 0 or open_cpu_windows > 0 or open_load_windows > 0 or open_net_windows > 0)
