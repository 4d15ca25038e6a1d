{{ config(materialized='ephemeral') }}

-- What others' definitions of utilisation are made of, per attempt. They see devices, not shares of them: an attempt
-- that holds 0.25 GPUs sits on one whole GPU, one that holds 1.5 on two. A reading is one sample, or the one lifetime
-- mean of an attempt that has no samples; of an attempt on several GPUs it is one reading of each, the mean of theirs. A
-- sample that a day's border cuts is one reading: it counts where it begins. Used GPUs are counted in billionths, so
-- that a sum is the same in any order.
select
    cluster_id,
    job_id,
    max((held_mgpu + 999) // 1000) as gpus,
    cast(sum(end_s - start_s) as bigint) as held_s,
    cast(sum(case when gpu_used_count is not null then end_s - start_s else 0 end) as bigint) as measured_s,
    cast(sum(case when gpu_used_count != 0 then end_s - start_s else 0 end) as bigint) as busy_s,
    count(case when is_start then gpu_used_count end) as readings,
    count(case when is_start and gpu_used_count != 0 then 1 end) as busy_readings,
    coalesce(sum(case when is_start then {{ whole('gpu_used_count * 1000000000') }} end), 0) as used_ngpu,
    cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
    cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
    cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
    cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s
from {{ ref('silver_allocation_days') }}
where {{ of_touched_jobs() }}
group by cluster_id, job_id, landing_no, source_row
