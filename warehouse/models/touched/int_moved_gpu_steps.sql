{{ config(materialized='ephemeral') }}

-- Clusters with a device whose usual step is no longer the one that hours of the day were made with, or was none: a lone
-- sample speaks of nothing.
with

steps as (
    select * from {{ ref('usual_gpu_steps') }}
    where standing_samples > 0
),

made as (
    select
        hours.usual_step_s,
        {{ device_hash('hours') }} as device_key,
        {{ utc_to_epoch('hours.hour_start_at') }} // 86400 as utc_day
    from {{ as_it_was('silver_gpu_hours') }} as hours
    where {{ in_reached_days('hours.hour_start_at') }}
),

compared as (
    select
        steps.cluster_id,
        steps.standing_samples,
        count(made.usual_step_s) as hours,
        count(case when made.usual_step_s != steps.usual_s then 1 end) as other_hours
    from steps
    left join made
        on steps.device_key = made.device_key
            and steps.utc_day = made.utc_day
    group by steps.cluster_id, steps.device_key, steps.utc_day, steps.standing_samples
)

select distinct cluster_id
from compared
where standing_samples = 1 or hours = 0 or other_hours > 0
