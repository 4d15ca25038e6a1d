{{ config(materialized='ephemeral') }}

-- What attempts made of their devices: samples cut at the borders of tenancies, and of hours, and put together while they
-- follow one another and speak of the same: use or none of it, by the same signal.
with

samples as (
    select
        *,
        {{ each_number('from_s // 3600', '(to_s - 1) // 3600') }} as hour_no
    from {{ ref('int_use_samples') }}
    where from_s < to_s and (used_micro is not null or memory_used_bytes is not null)
),

tenancies as (
    select
        *,
        {{ each_number('from_s // 3600', '(to_s - 1) // 3600') }} as hour_no
    from {{ ref('int_device_tenants') }}
),

pieces as (
    select
        tenancies.measured_key,
        samples.hour_no,
        samples.signal_no,
        samples.used_micro,
        samples.memory_used_bytes,
        greatest(samples.from_s, tenancies.from_s, samples.hour_no * 3600) as from_s,
        least(samples.to_s, tenancies.to_s, (samples.hour_no + 1) * 3600) as to_s
    from samples
    inner join tenancies
        on samples.device_key = tenancies.device_key
            and samples.hour_no = tenancies.hour_no
            and samples.from_s < tenancies.to_s
            and samples.to_s > tenancies.from_s
),

followed as (
    select
        *,
        lag(to_s) over in_time as previous_to_s,
        lag(hour_no) over in_time as previous_hour_no,
        lag(signal_no) over in_time as previous_signal_no,
        lag(used_micro) over in_time as previous_micro
    from pieces
    where from_s < to_s
    window in_time as (partition by measured_key order by from_s)
),

marked as (
    select
        *,
        case
            when previous_to_s = from_s
                and previous_hour_no = hour_no
                and previous_signal_no = signal_no
                and (previous_micro is null) = (used_micro is null)
                and coalesce(previous_micro = 0, true) = coalesce(used_micro = 0, true) then 0
            else 1
        end as is_new
    from followed
),

runs as (
    select
        *,
        sum(is_new) over (partition by measured_key order by from_s) as run_no
    from marked
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
group by measured_key, run_no
