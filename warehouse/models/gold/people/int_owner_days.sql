{{ config(materialized='ephemeral') }}

-- GPU-hours held and jobs submitted, per day, user, group and queue: rows of either side, to be summed. A row has none
-- of the other side, unless the cluster's holdings, or its submissions, cannot be told: then it has null.
with

held as (
    select * from {{ ref('int_owner_holdings') }}
),

submitted as (
    select * from {{ ref('int_cohort_outcomes') }}
    where dt is not null and {{ of_due_days() }}
),

accounted as (
    select * from {{ ref('int_accounted_clusters') }}
),

submitting as (
    select distinct cluster_id
    from {{ ref('silver_job_cohorts') }}
    where dt is not null
)

select
    held.cluster_id,
    held.dt,
    held.user_id,
    held.group_id,
    held.queue,
    accounted.is_measured,
    case when accounted.cluster_id is not null then held.allocated_mgpu_s end as allocated_mgpu_s,
    case when accounted.cluster_id is not null then held.active_mgpu_s end as active_mgpu_s,
    case when accounted.cluster_id is not null then held.idle_held_mgpu_s end as idle_held_mgpu_s,
    case when accounted.cluster_id is not null then held.unknown_mgpu_s end as unknown_mgpu_s,
    case when accounted.cluster_id is not null then held.over_use_mgpu_s end as over_use_mgpu_s,
    case when accounted.cluster_id is not null then held.zero_util_mgpu_s end as zero_util_mgpu_s,
    case when accounted.cluster_id is not null then held.failed_mgpu_s end as failed_mgpu_s,
    case when accounted.cluster_id is not null then held.status_unknown_mgpu_s end as status_unknown_mgpu_s,
    case when accounted.cluster_id is not null then held.unbounded_spans end as unbounded_spans,
    case when accounted.cluster_id is not null then held.failed_unbounded_spans end as failed_unbounded_spans,
    case when submitting.cluster_id is not null then 0 end as jobs_submitted,
    case when submitting.cluster_id is not null then 0 end as jobs_failed,
    case when submitting.cluster_id is not null then 0 end as jobs_succeeded,
    case when submitting.cluster_id is not null then 0 end as jobs_cancelled,
    case when submitting.cluster_id is not null then 0 end as jobs_preempted,
    case when submitting.cluster_id is not null then 0 end as jobs_unfinished,
    case when submitting.cluster_id is not null then 0 end as jobs_status_unknown
from held
left join accounted
    on held.cluster_id = accounted.cluster_id
left join submitting
    on held.cluster_id = submitting.cluster_id
union all
select
    submitted.cluster_id,
    submitted.dt,
    submitted.user_id,
    submitted.group_id,
    submitted.queue,
    accounted.is_measured,
    case when accounted.cluster_id is not null then 0 end as allocated_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as active_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as idle_held_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as unknown_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as over_use_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as zero_util_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as failed_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as status_unknown_mgpu_s,
    case when accounted.cluster_id is not null then 0 end as unbounded_spans,
    case when accounted.cluster_id is not null then 0 end as failed_unbounded_spans,
    submitted.jobs as jobs_submitted,
    submitted.jobs_failed,
    submitted.jobs_succeeded,
    submitted.jobs_cancelled,
    submitted.jobs_preempted,
    submitted.jobs_unfinished,
    submitted.jobs_status_unknown
from submitted
left join accounted
    on submitted.cluster_id = accounted.cluster_id
