{{ config(materialized='ephemeral') }}

-- What attempts made of their devices: pieces of an hour are put together while they follow one another and speak of the
-- same: use or none of it, by the same signal. Most hours do so from first to last: only others are sorted.
with

states as (
    select * from {{ ref('int_device_pieces') }}
),

-- A device's samples speak of no second twice: where their seconds add up, none is missing.
hours as (
    select
        measured_key,
        hour_no,
        min(state_no) = max(state_no) and sum(to_s - from_s) = max(to_s) - min(from_s) as is_one_run
    from states
    group by measured_key, hour_no
),

followed as (
    select
        states.*,
        lag(states.to_s) over in_time as previous_to_s,
        lag(states.state_no) over in_time as previous_state_no
    from states
    inner join hours
        on states.measured_key = hours.measured_key
            and states.hour_no = hours.hour_no
    where not hours.is_one_run
    window in_time as (partition by states.measured_key, states.hour_no order by states.from_s)
),

marked as (
    select
        *,
        case when previous_to_s = from_s and previous_state_no = state_no then 0 else 1 end as is_new
    from followed
),

runs as (
    select
        measured_key,
        hour_no,
        used_micro,
        memory_used_bytes,
        from_s,
        to_s,
        sum(is_new) over (partition by measured_key, hour_no order by from_s) as run_no
    from marked
    union all
    select
        states.measured_key,
        states.hour_no,
        states.used_micro,
        states.memory_used_bytes,
        states.from_s,
        states.to_s,
        1 as run_no
    from states
    inner join hours
        on states.measured_key = hours.measured_key
            and states.hour_no = hours.hour_no
    where hours.is_one_run
)

select
    measured_key,
    min(from_s) as from_s,
    max(to_s) as to_s,
    'interval_mean' as sample_kind,
    sum(used_micro * (to_s - from_s)) / (1000000.0 * sum(case when used_micro is not null then to_s - from_s end))
        as gpu_used_count,
    {{ whole(mean_over_seconds('memory_used_bytes', '(to_s - from_s)')) }} as gpu_mem_used_bytes_mean,
    max(memory_used_bytes) as gpu_mem_used_bytes_max
from runs
group by measured_key, hour_no, run_no
