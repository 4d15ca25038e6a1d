{{ config(materialized='ephemeral') }}

-- Jobs as their waits are observed: who never started has waited in vain until its end, else until the end of its
-- cluster's window. Each stands once in every way of grouping jobs, and that twice: in the whole window (dt is null) and
-- on the day of its submission. Of the days only those that are built now.
with

windows as (
    select
        cluster_id,
        max(ends_at) as window_ends_at
    from {{ ref('silver_days') }}
    group by cluster_id
),

jobs as (
    select
        *,
        submitted_day as dt
    from {{ ref('silver_jobs') }}
),

periods as (
    select
        *,
        cast(null as date) as period
    from jobs
    union all
    select
        *,
        dt as period
    from jobs
    where dt is not null and {{ not_yet_in('gold_queue_wait_daily', 'cluster_id, dt') }}
)

select
    periods.cluster_id,
    periods.period as dt,
    groupings.grouped_by,
    {{ group_value('groupings.grouped_by', 'periods') }} as value,
    periods.submitted_at,
    periods.started_at,
    periods.was_placed,
    periods.wait_s,
    case when not periods.was_placed then
        {{ lasted_s('periods.submitted_at', 'coalesce(periods.ended_at, windows.window_ends_at)') }}
    end as censored_s,
    not periods.was_placed and periods.submitted_at is not null and periods.ended_at is null as is_open
from periods
cross join {{ ref('int_job_groupings') }} as groupings
left join windows
    on periods.cluster_id = windows.cluster_id
