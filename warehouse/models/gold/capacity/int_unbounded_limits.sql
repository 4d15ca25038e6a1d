{{ config(materialized='ephemeral') }}

-- What attempts without both times can have held at the most in the whole window, per group of jobs: from the earliest to
-- the latest that each can have run, and of a pool no more than its capacity that is known to have been free. Of failed jobs
-- or of jobs of no known status, and of jobs that are not known to have failed.
with

windows as (
    select
        cluster_id,
        min(starts_s) as starts_s,
        max(ends_s) as ends_s
    from {{ ref('int_days') }}
    group by cluster_id
),

spans as (
    select
        spans.*,
        {{ is_failed('spans.job_status') }} as is_failed,
        spans.held_mgpu_to_s + spans.no_to_mgpu * windows.ends_s
        - spans.held_mgpu_from_s - spans.no_from_mgpu * windows.starts_s as most_mgpu_s
    from {{ ref('silver_unbounded_spans') }} as spans
    inner join windows
        on spans.cluster_id = windows.cluster_id
    where spans.job_status is not null
),

free as (
    select
        cluster_id,
        pool,
        sum(case when is_described then unallocated_mgpu_s end) as free_mgpu_s
    from {{ ref('silver_pool_days') }}
    group by cluster_id, pool
),

by_pool as (
    select
        spans.cluster_id,
        groupings.grouped_by,
        {{ group_value('groupings.grouped_by', 'spans') }} as value,
        spans.pool,
        sum(case when spans.is_failed or spans.job_status = 'unknown' then spans.most_mgpu_s else 0 end) as failed_mgpu_s,
        sum(case when spans.is_failed then 0 else spans.most_mgpu_s end) as other_mgpu_s
    from spans
    cross join {{ ref('int_job_groupings') }} as groupings
    group by spans.cluster_id, groupings.grouped_by, value, spans.pool
)

select
    by_pool.cluster_id,
    by_pool.grouped_by,
    by_pool.value,
    cast(sum(least(by_pool.failed_mgpu_s, free.free_mgpu_s)) as bigint) as failed_limit_mgpu_s,
    cast(sum(least(by_pool.other_mgpu_s, free.free_mgpu_s)) as bigint) as other_limit_mgpu_s
from by_pool
left join free
    on by_pool.cluster_id = free.cluster_id
        and by_pool.pool = free.pool
group by by_pool.cluster_id, by_pool.grouped_by, by_pool.value
