{{ config(materialized='ephemeral') }}

-- Windows cut at the borders of days: no sum crosses a day, so one day rebuilt alone gives the same digits. Values are whole
-- numbers (millionths of a percent, 1e12 / length): doubles would differ from run to run.
with

machines as (
    select * from {{ ref('int_measured_machines') }}
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
),

days as (
    select * from {{ ref('int_days') }}
    where {{ of_touched_days('machine_window') }}
),

windows as (
    select
        machines.machine_no,
        machines.cluster_no,
        {{ utc_to_epoch('windows.started_at') }} as start_s,
        {{ utc_to_epoch('windows.ended_at') }} as end_s,
        windows.gpu_util_pct,
        windows.cpu_util_pct,
        windows.machine_load_1,
        windows.machine_net_receive
    from {{ ref('silver_gpu_timeseries') }} as windows
    inner join machines
        on windows.cluster_id = machines.cluster_id
            and windows.machine_id = machines.machine_id
    where
        windows.started_at < windows.ended_at
        and {{ within_touched_range('machine_window', 'windows.started_at', 'windows.ended_at') }}
),

covered_days as (
    select
        windows.*,
        cast({{ each_number('opening.day_no', 'closing.day_no') }} as integer) as day_no
    from windows
    inner join quarters as opening
        on windows.cluster_no * 1000000000 + windows.start_s // 900 = opening.quarter_key
            and windows.start_s >= opening.starts_s
            and windows.start_s < opening.ends_s
    inner join quarters as closing
        on windows.cluster_no * 1000000000 + (windows.end_s - 1) // 900 = closing.quarter_key
            and windows.end_s > closing.starts_s
            and windows.end_s <= closing.ends_s
)

select
    covered_days.machine_no,
    covered_days.day_no,
    cast(greatest(covered_days.start_s, days.starts_s) - days.starts_s as integer) as start_s,
    cast(least(covered_days.end_s, days.ends_s) - days.starts_s as integer) as end_s,
    {{ whole('covered_days.gpu_util_pct * 1000000') }} as gpu_micro_pct,
    {{ whole('covered_days.cpu_util_pct * 1000000') }} as cpu_micro_pct,
    {{ whole('covered_days.machine_load_1 * 1000000') }} as load_micro,
    {{ whole('covered_days.machine_net_receive') }} as net_bytes,
    case when covered_days.gpu_util_pct is not null
        then {{ whole('1e12 / (covered_days.end_s - covered_days.start_s)') }}
    end as weight,
    {{ whole('covered_days.gpu_util_pct * round(1e12 / (covered_days.end_s - covered_days.start_s))') }} as weighted_gpu
from covered_days
inner join days
    on covered_days.day_no = days.day_no
