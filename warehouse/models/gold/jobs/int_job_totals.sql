{{ config(materialized='ephemeral') }}

-- The amounts of jobs over all their days, and their spans without bounds: one row per job that has either.
with

held as (
    select
        cluster_id,
        job_id,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s
    from {{ ref('silver_job_days') }}
    where {{ of_due_jobs_on_their_days() }}
    group by cluster_id, job_id
),

unbounded as (
    select
        cluster_id,
        job_id,
        cast(sum(spans) as bigint) as spans
    from {{ ref('silver_unbounded_spans') }}
    where {{ of_due_jobs() }}
    group by cluster_id, job_id
)

select
    coalesce(held.cluster_id, unbounded.cluster_id) as cluster_id,
    coalesce(held.job_id, unbounded.job_id) as job_id,
    held.job_id is not null as is_held,
    coalesce(held.allocated_mgpu_s, 0) as allocated_mgpu_s,
    coalesce(held.active_mgpu_s, 0) as active_mgpu_s,
    coalesce(held.idle_held_mgpu_s, 0) as idle_held_mgpu_s,
    coalesce(held.unknown_mgpu_s, 0) as unknown_mgpu_s,
    coalesce(held.over_use_mgpu_s, 0) as over_use_mgpu_s,
    coalesce(held.zero_util_mgpu_s, 0) as zero_util_mgpu_s,
    coalesce(unbounded.spans, 0) as unbounded_spans
from held
full outer join unbounded
    on held.cluster_id = unbounded.cluster_id
        and held.job_id = unbounded.job_id
