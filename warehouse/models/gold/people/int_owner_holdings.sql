{{ config(materialized='ephemeral') }}

-- What was held on a day, per user, group and queue, and beside it the attempts without both times: on the day of the time
-- that is known, else on that of their job's submission. Rows of either, to be summed.
with

unbounded as (
    select
        *,
        coalesce(dt, submitted_day) as told_on
    from {{ ref('silver_unbounded_spans') }}
),

dated as (
    select
        cluster_id,
        told_on as dt,
        user_id,
        group_id,
        queue,
        spans,
        case when {{ is_failed('job_status') }} then spans else 0 end as failed_spans
    from unbounded
)

select
    cluster_id,
    dt,
    user_id,
    group_id,
    queue,
    allocated_mgpu_s,
    active_mgpu_s,
    idle_held_mgpu_s,
    unknown_mgpu_s,
    over_use_mgpu_s,
    zero_util_mgpu_s,
    failed_mgpu_s,
    status_unknown_mgpu_s,
    0 as unbounded_spans,
    0 as failed_unbounded_spans
from {{ ref('silver_owner_days') }}
where {{ of_due_days() }}
union all
select
    cluster_id,
    dt,
    user_id,
    group_id,
    queue,
    0 as allocated_mgpu_s,
    0 as active_mgpu_s,
    0 as idle_held_mgpu_s,
    0 as unknown_mgpu_s,
    0 as over_use_mgpu_s,
    0 as zero_util_mgpu_s,
    0 as failed_mgpu_s,
    0 as status_unknown_mgpu_s,
    spans as unbounded_spans,
    failed_spans as failed_unbounded_spans
from dated
where dt is not null and {{ of_due_days() }}
