{#
    The mean of overlapping windows, per machine and hour. In each second a machine's value is a mean over the windows
    that cover it, so no second counts twice; over a day the plain mean, in an hour (for the p95) weighted by
    1 / window length, which comes nearer the truth of single hours.

    1. Windows are cut at day borders: no sum crosses a day, so one day rebuilt alone gives the same digits.
    2. Each part opens at its first second and closes at its end; between two events the same windows are open.
    3. Every sum is over whole numbers (millionths of a percent, 1e12 / length): doubles would differ from run to run.

    Times are whole seconds. Gives the CTEs day_parts, events, open_windows, segments, hour_pieces and
    swept_hours (machine_no, day_no, hour_no, gpu_covered_s, gpu_pct_us, gpu_pct_weighted_us, cpu_covered_s, cpu_pct_us).
#}
{% macro swept_machine_hours(windows, machines, days) -%}
numbered_windows as (
    select
        machines.machine_no,
        machines.cluster_no,
        {{ utc_to_epoch('windows.started_at') }} as start_s,
        {{ utc_to_epoch('windows.ended_at') }} as end_s,
        windows.gpu_util_pct,
        windows.cpu_util_pct
    from {{ windows }} as windows
    inner join {{ machines }} as machines
        on windows.cluster_id = machines.cluster_id
            and windows.machine_id = machines.machine_id
),

-- One key, not two columns: else planners join the quarters with themselves first, by cluster.
quarters as (
    select
        cluster_no * 1000000000 + {{ each_number('starts_s // 900', 'ends_s // 900 - 1') }} as quarter_key,
        day_no
    from {{ days }}
),

spans as (
    select
        windows.*,
        opening.day_no as first_day_no,
        closing.day_no as last_day_no
    from numbered_windows as windows
    inner join quarters as opening
        on windows.cluster_no * 1000000000 + windows.start_s // 900 = opening.quarter_key
    inner join quarters as closing
        on windows.cluster_no * 1000000000 + (windows.end_s - 1) // 900 = closing.quarter_key
),

span_days as (
    select
        *,
        cast({{ each_number('first_day_no', 'last_day_no') }} as integer) as day_no
    from spans
),

day_parts as (
    select
        span_days.machine_no,
        span_days.day_no,
        cast(greatest(span_days.start_s, days.starts_s) - days.starts_s as integer) as start_s,
        cast(least(span_days.end_s, days.ends_s) - days.starts_s as integer) as end_s,
        {{ whole('span_days.gpu_util_pct * 1000000') }} as gpu_micro_pct,
        {{ whole('span_days.cpu_util_pct * 1000000') }} as cpu_micro_pct,
        case when span_days.gpu_util_pct is not null then {{ whole('1e12 / (span_days.end_s - span_days.start_s)') }} end as weight,
        {{ whole('span_days.gpu_util_pct * round(1e12 / (span_days.end_s - span_days.start_s))') }} as weighted_gpu
    from span_days
    inner join {{ days }} as days
        on span_days.day_no = days.day_no
    where days.is_touched
),

events as (
    select
        day_parts.machine_no,
        day_parts.day_no,
        case when borders.sign = 1 then day_parts.start_s else day_parts.end_s end as second_no,
        cast(case when day_parts.gpu_micro_pct is not null then borders.sign else 0 end as smallint) as gpu_windows,
        cast(case when day_parts.cpu_micro_pct is not null then borders.sign else 0 end as smallint) as cpu_windows,
        borders.sign * day_parts.gpu_micro_pct as gpu_micro_pct,
        borders.sign * day_parts.cpu_micro_pct as cpu_micro_pct,
        borders.sign * day_parts.weight as weight,
        borders.sign * day_parts.weighted_gpu as weighted_gpu
    from day_parts
    cross join (values (1), (-1)) as borders (sign)
),

open_windows as (
    select
        machine_no,
        day_no,
        second_no as start_s,
        lead(second_no) over (partition by machine_no, day_no order by second_no) as end_s,
        {% for column in ['gpu_windows', 'cpu_windows', 'gpu_micro_pct', 'cpu_micro_pct', 'weight', 'weighted_gpu'] -%}
        sum({{ column }}) over (
            partition by machine_no, day_no order by second_no rows between unbounded preceding and current row
        ) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from events
),

segments as (
    select
        machine_no,
        day_no,
        start_s,
        end_s,
        case when gpu_windows > 0 then gpu_micro_pct / gpu_windows end as gpu_micro_pct,
        case when gpu_windows > 0 then weighted_gpu / weight * 1000000 end as gpu_weighted_micro_pct,
        case when cpu_windows > 0 then cpu_micro_pct / cpu_windows end as cpu_micro_pct
    from open_windows
    where end_s > start_s and (gpu_windows > 0 or cpu_windows > 0)
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
        cast(sum({{ whole('cpu_micro_pct * piece_s') }}) as bigint) as cpu_pct_us
    from hour_pieces
    group by machine_no, day_no, hour_no
)
{%- endmacro %}
