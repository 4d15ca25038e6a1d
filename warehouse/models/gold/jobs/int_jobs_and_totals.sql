{{ config(materialized='ephemeral') }}

-- Every job of the job table, and every job that held GPUs without standing there. What a job held is counted where some of
-- its attempts have both times, and is 0 where its tasks are known and the cluster's instances too; else, and where there
-- are attempts of unknown length alone, nobody knows it.
with

jobs as (
    select * from {{ ref('silver_jobs') }}
    where {{ of_due_jobs() }}
),

totals as (
    select * from {{ ref('int_job_totals') }}
),

lacking as (
    select
        cluster_id,
        max(case when column_name = 'allocated_gpu_h' and not available then 1 else 0 end) = 1 as lacks_allocation,
        max(case when column_name = 'active_gpu_h' and not available then 1 else 0 end) = 1 as lacks_use
    from {{ ref('gold_availability') }}
    where table_name = 'gold_jobs'
    group by cluster_id
)

select
    coalesce(jobs.cluster_id, totals.cluster_id) as cluster_id,
    coalesce(jobs.job_id, totals.job_id) as job_id,
    jobs.user_id,
    jobs.group_id,
    jobs.queue,
    coalesce(jobs.job_status, 'unknown') as job_status,
    jobs.status_source,
    jobs.submitted_at,
    jobs.started_at,
    jobs.ended_at,
    jobs.submitted_day,
    jobs.wait_s,
    jobs.run_s,
    jobs.gpu_model,
    jobs.size_class,
    jobs.gpu_request_count,
    coalesce(totals.allocated_mgpu_s, 0) as allocated_mgpu_s,
    coalesce(totals.active_mgpu_s, 0) as active_mgpu_s,
    coalesce(totals.idle_held_mgpu_s, 0) as idle_held_mgpu_s,
    coalesce(totals.unknown_mgpu_s, 0) as unknown_mgpu_s,
    coalesce(totals.over_use_mgpu_s, 0) as over_use_mgpu_s,
    coalesce(totals.zero_util_mgpu_s, 0) as zero_util_mgpu_s,
    coalesce(totals.unbounded_spans, 0) as unbounded_spans,
    coalesce(totals.is_held, false) or (
        totals.job_id is null
        and coalesce(jobs.is_gpu_request_known, false)
        and not coalesce(lacking.lacks_allocation, false)
    ) as is_counted,
    case
        when totals.unbounded_spans > 0
            then cast(totals.unbounded_spans as varchar) || ' of its attempts with GPUs lack' || case totals.unbounded_spans
                when 1 then 's' else ''
            end || ' a start or an end, so how long they held them is not known'
        when totals.job_id is null and not jobs.is_gpu_request_known
            then 'what it asked for is a number that no machine has'
        when totals.job_id is null and (jobs.n_tasks is null or coalesce(lacking.lacks_allocation, false))
            then 'what the job held is not known'
    end as gpu_h_reason,
    coalesce(lacking.lacks_use, false) as lacks_use
from jobs
full outer join totals
    on jobs.cluster_id = totals.cluster_id
        and jobs.job_id = totals.job_id
left join lacking
    on coalesce(jobs.cluster_id, totals.cluster_id) = lacking.cluster_id
