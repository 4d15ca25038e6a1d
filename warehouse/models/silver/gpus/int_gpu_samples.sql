{{ config(materialized='ephemeral') }}

-- What each sample says, and of which seconds: an instant one of those from its time on, a mean of those up to it; at the
-- most its interval, and none that the next one speaks of. Where no interval is told, it is its device's usual step then.
with

samples as (
    select
        *,
        {{ utc_to_epoch('sampled_at') }} as at_s
    from {{ ref('silver_gpu_samples') }}
    where {{ in_sampled_range('sampled_at') }}
),

neighbours as (
    select
        *,
        lag(at_s) over in_time as previous_s,
        lead(at_s) over in_time as next_s
    from samples
    window in_time as (partition by cluster_id, machine_id, gpu_device order by at_s)
),

steps as (
    select
        *,
        cast(
            coalesce(
                nullif(round(interval_s), 0),
                round({{ exact_quantile('next_s - at_s', 0.5) }} over (
                    partition by cluster_id, machine_id, gpu_device, at_s // 86400
                ))
            ) as bigint
        ) as step_s
    from neighbours
)

select
    *,
    case
        when sample_kind = 'interval_mean' then greatest(at_s - step_s, coalesce(previous_s, at_s - step_s))
        else at_s
    end as from_s,
    case
        when sample_kind = 'interval_mean' then at_s
        else least(at_s + step_s, coalesce(next_s, at_s + step_s))
    end as to_s
from steps
where step_s is not null
