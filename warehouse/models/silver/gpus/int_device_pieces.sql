{{ config(materialized='ephemeral') }}

-- Samples cut at the borders of tenancies, and of hours: what each piece of them says of who held the device then.
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
)

select
    *,
    signal_no * 3 + case when used_micro is null then 0 when used_micro = 0 then 1 else 2 end as state_no
from pieces
where from_s < to_s
