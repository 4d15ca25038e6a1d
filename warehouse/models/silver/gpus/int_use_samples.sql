{{ config(materialized='ephemeral') }}

-- What each sample says of use and memory, and of which seconds, as int_gpu_samples tells them of counters: of all days of
-- touched jobs, where that one reads hours.
with

samples as (
    select
        {{ device_hash('delivered') }} as device_key,
        {{ utc_to_epoch('delivered.sampled_at') }} as at_s,
        delivered.sample_kind = 'interval_mean' as is_mean,
        {{ whole('nullif(delivered.interval_s, 0)') }} as interval_s,
        {{ whole('delivered.used_ratio * 1000000') }} as used_micro,
        {{ whole('delivered.memory_used_bytes') }} as memory_used_bytes,
        case delivered.gpu_signal when 'sm_active' then 1 when 'gr_engine_active' then 2 when 'gpu_util' then 3 else 0 end
            as signal_no
    from {{ ref('silver_gpu_samples') }} as delivered
    where {{ in_sampled_range('delivered.sampled_at') }}
),

neighbours as (
    select
        *,
        lag(at_s) over in_time as previous_s,
        lead(at_s) over in_time as next_s,
        lead({{ speaks_since() }}) over in_time as next_from_s
    from samples
    window in_time as (partition by device_key order by at_s)
),

usual_steps as (
    select
        device_key,
        at_s // 86400 as utc_day,
        {{ whole(exact_quantile('next_s - at_s', 0.5)) }} as usual_s
    from neighbours
    where interval_s is null
    group by device_key, utc_day
),

steps as (
    select
        neighbours.*,
        coalesce(neighbours.interval_s, usual_steps.usual_s) as step_s
    from neighbours
    left join usual_steps
        on neighbours.device_key = usual_steps.device_key
            and neighbours.at_s // 86400 = usual_steps.utc_day
),

spans as (
    select
        *,
        {{ speaks_from() }} as from_s,
        {{ speaks_to() }} as to_s
    from steps
    where step_s is not null and (used_micro is not null or memory_used_bytes is not null)
)

select
    device_key,
    from_s,
    to_s,
    used_micro,
    memory_used_bytes,
    signal_no
from spans
where from_s < to_s
