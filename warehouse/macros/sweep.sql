{#
    The mean of overlapping windows, per machine and hour. In each second a machine's value is a mean over the windows
    that cover it, so no second counts twice; over a day the plain mean, in an hour (for the p95) weighted by
    1 / window length, which comes nearer the truth of single hours.

    1. Windows are cut at day borders: no sum crosses a day, so one day rebuilt alone gives the same digits.
    2. Each part opens at its first second and closes at its end; between two events the same windows are open.
    3. Every sum is over whole numbers (millionths of a percent, 1e12 / length): doubles would differ from run to run.

    Times are whole seconds. Gives the CTE swept_hours (machine_no, day_no, hour_no, and per signal the covered seconds
    and the sum over them).
#}
{% macro swept_machine_hours(windows, machines, days) -%}
numbered_windows as (
    select
        machines.machine_no,
        machines.cluster_no,
        {{ utc_to_epoch('windows.started_at') }} as start_s,
        {{ utc_to_epoch('windows.ended_at') }} as end_s,
        windows.gpu_util_pct,
        windows.cpu_util_pct,
        windows.machine_load_1,
        windows.machine_net_receive
    from {{ windows }} as windows
    inner join {{ machines }} as machines
        on windows.cluster_id = machines.cluster_id
            and windows.machine_id = machines.machine_id
),

{{ cut_at_days('numbered_windows', days) }},

window_parts as (
    select
        machine_no,
        day_no,
        cast(part_start_s - day_start_s as integer) as start_s,
        cast(part_end_s - day_start_s as integer) as end_s,
        {{ whole('gpu_util_pct * 1000000') }} as gpu_micro_pct,
        {{ whole('cpu_util_pct * 1000000') }} as cpu_micro_pct,
        {{ whole('machine_load_1 * 1000000') }} as load_micro,
        {{ whole('machine_net_receive') }} as net_bytes,
        case when gpu_util_pct is not null then {{ whole('1e12 / (end_s - start_s)') }} end as weight,
        {{ whole('gpu_util_pct * round(1e12 / (end_s - start_s))') }} as weighted_gpu
    from day_parts
),

events as (
    select
        window_parts.machine_no,
        window_parts.day_no,
        case when borders.sign = 1 then window_parts.start_s else window_parts.end_s end as second_no,
        cast(case when window_parts.gpu_micro_pct is not null then borders.sign else 0 end as smallint) as gpu_windows,
        cast(case when window_parts.cpu_micro_pct is not null then borders.sign else 0 end as smallint) as cpu_windows,
        cast(case when window_parts.load_micro is not null then borders.sign else 0 end as smallint) as load_windows,
        cast(case when window_parts.net_bytes is not null then borders.sign else 0 end as smallint) as net_windows,
        borders.sign * window_parts.gpu_micro_pct as gpu_micro_pct,
        borders.sign * window_parts.cpu_micro_pct as cpu_micro_pct,
        borders.sign * window_parts.load_micro as load_micro,
        borders.sign * window_parts.net_bytes as net_bytes,
        borders.sign * window_parts.weight as weight,
        borders.sign * window_parts.weighted_gpu as weighted_gpu
    from window_parts
    cross join (values (1), (-1)) as borders (sign)
),

{% set open_columns = {} -%}
{% for column in [
    'gpu_windows', 'cpu_windows', 'load_windows', 'net_windows', 'gpu_micro_pct', 'cpu_micro_pct', 'load_micro',
    'net_bytes', 'weight', 'weighted_gpu',
] -%}
    {%- do open_columns.update({'open_' ~ column: column}) -%}
{%- endfor -%}
-- Every window closes within its machine and day.
open_windows as (
    {{ sums_before('events', ['machine_no', 'day_no', 'second_no'], open_columns, previous='previous_second_no') }}
),

segments as (
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
),

segment_hours as (
    select
        *,
        {{ each_number('start_s // 3600', '(end_s - 1) // 3600') }} as hour_no
    from segments
),

hour_pieces as (
    select
        *,
        least(end_s, (hour_no + 1) * 3600) - greatest(start_s, hour_no * 3600) as piece_s
    from segment_hours
),

swept_hours as (
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
    from hour_pieces
    group by machine_no, day_no, hour_no
)
{%- endmacro %}
