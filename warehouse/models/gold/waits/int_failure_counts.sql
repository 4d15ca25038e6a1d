{{ config(materialized='ephemeral') }}

-- Failures of groups of jobs, twice: of the whole window, and of the days of submission that are built now.
with

cohorts as (
    select * from {{ ref('int_cohort_outcomes') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

periods as (
    select
        *,
        true as is_window,
        cast(null as date) as period
    from cohorts
    union all
    select
        *,
        false as is_window,
        dt as period
    from cohorts
    where dt is not null and {{ of_due_days() }}
),

grouped as (
    select
        periods.*,
        groupings.grouped_by,
        {{ group_value('groupings.grouped_by', 'periods') }} as value
    from periods
    cross join {{ ref('int_job_groupings') }} as groupings
)

select
    grouped.cluster_id,
    grouped.is_window,
    grouped.period as dt,
    grouped.grouped_by,
    grouped.value,
    max(case when accounted.cluster_id is not null then 1 else 0 end) = 1 as is_accounted,
    cast(sum(case when grouped.dt is null then grouped.jobs else 0 end) as bigint) as jobs_without_submission,
    cast(sum(grouped.jobs) as bigint) as jobs_submitted,
    cast(sum(grouped.placed_jobs) as bigint) as jobs_started,
    cast(sum(grouped.placed_jobs_failed) as bigint) as jobs_failed_started,
    cast(sum(grouped.jobs_failed) as bigint) as jobs_failed,
    cast(sum(grouped.jobs_succeeded) as bigint) as jobs_succeeded,
    cast(sum(grouped.jobs_cancelled) as bigint) as jobs_cancelled,
    cast(sum(grouped.jobs_preempted) as bigint) as jobs_preempted,
    cast(sum(grouped.jobs_unfinished) as bigint) as jobs_unfinished,
    cast(sum(grouped.jobs_status_unknown) as bigint) as jobs_status_unknown,
    cast(coalesce(sum(grouped.allocated_mgpu_s), 0) as bigint) as allocated_mgpu_s,
    cast(coalesce(sum(grouped.failed_mgpu_s), 0) as bigint) as failed_mgpu_s,
    cast(coalesce(sum(grouped.status_unknown_mgpu_s), 0) as bigint) as status_unknown_mgpu_s,
    cast(sum(grouped.unbounded_spans) as bigint) as unbounded_spans,
    cast(sum(grouped.failed_unbounded_spans) as bigint) as failed_unbounded_spans
from grouped
left join accounted
    on grouped.cluster_id = accounted.cluster_id
group by grouped.cluster_id, grouped.is_window, grouped.period, grouped.grouped_by, grouped.value
