{{ config(materialized='ephemeral') }}

-- Segments summed into hours, in whole seconds and whole units.
with

segment_hours as (
    select
        *,
        {{ each_number('start_s // 3600', '(end_s - 1) // 3600') }} as hour_no
    from {{ ref('int_window_segments') }}
),

pieces as (
    select
        *,
        least(end_s, (hour_no + 1) * 3600) - greatest(start_s, hour_no * 3600) as piece_s
    from segment_hours
)

select
    machine_no,
    day_no,
    hour_no,
    cast(sum(case when gpu_micro_pct is not null then piece_s else 0 end) as bigint) as gpu_covered_s,
    cast(sum({{ whole('gpu_micro_pct * piece_s') }}) as bigint) as gpu_pct_us,
    cast(sum({{ whole('gpu_weighted_micro_pct * piece_s') }}) as bigint) as gpu_pct_weighted_us,
    cast(sum(case when cpu_micro_pct is not null then piece_s else 0 end) as bigint) as cpu_covered_s,
    cast(sum({{ whole('cpu_micro_pct * piece_s') }}) as bigint) as cpu_pct_us,
    cast(sum(case when load_micro is not null then piece_s else 0 end) as bigint) as load_covered_s,
    cast(sum({{ whole('load_micro * piece_s') }}) as bigint) as load_us,
    cast(sum(case when net_bytes is not null then piece_s else 0 end) as bigint) as net_covered_s,
    cast(sum({{ whole('net_bytes * piece_s') }}) as bigint) as net_byte_s
from pieces
group by machine_no, day_no, hour_no
