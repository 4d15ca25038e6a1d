{{ config(materialized='ephemeral') }}

-- Failures of groups of jobs, per day of their submission; dt is null where that is not known.
with

cohorts as (
    select * from {{ ref('int_cohort_outcomes') }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

grouped as (
    select
        cohorts.*,
        groupings.grouped_by,
        {{ group_value('groupings.grouped_by', 'cohorts') }} as value
    from cohorts
    cross join {{ ref('int_job_groupings') }} as groupings
)

select
    grouped.cluster_id,
    grouped.dt,
    grouped.grouped_by,
    grouped.value,
    cast(sum(grouped.jobs) as bigint) as jobs_submitted,
    cast(sum(grouped.placed_jobs) as bigint) as jobs_started,
    cast(sum(grouped.placed_jobs_failed) as bigint) as jobs_failed_started,
    cast(sum(grouped.jobs_failed) as bigint) as jobs_failed,
    cast(sum(grouped.jobs_succeeded) as bigint) as jobs_succeeded,
    cast(sum(grouped.jobs_cancelled) as bigint) as jobs_cancelled,
    cast(sum(grouped.jobs_preempted) as bigint) as jobs_preempted,
    cast(sum(grouped.jobs_unfinished) as bigint) as jobs_unfinished,
    cast(sum(grouped.jobs_status_unknown) as bigint) as jobs_status_unknown,
    case when max(accounted.cluster_id) is not null then cast(coalesce(sum(grouped.allocated_mgpu_s), 0) as bigint) end
        as allocated_mgpu_s,
    case when max(accounted.cluster_id) is not null then cast(coalesce(sum(grouped.failed_mgpu_s), 0) as bigint) end
        as failed_mgpu_s,
    case when max(accounted.cluster_id) is not null then cast(coalesce(sum(grouped.status_unknown_mgpu_s), 0) as bigint) end
        as status_unknown_mgpu_s
from grouped
left join accounted
    on grouped.cluster_id = accounted.cluster_id
group by grouped.cluster_id, grouped.dt, grouped.grouped_by, grouped.value
