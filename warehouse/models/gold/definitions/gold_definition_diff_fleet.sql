{{ config(materialized='table') }}

select
    cluster_id,
    definition,
    jobs,
    gpu_h,
    util_pct,
    util_low_pct,
    util_high_pct,
    denominator_gpu_h,
    left_out_gpu_h,
    unused_gpu_h,
    note
from {{ ref('int_definition_figures') }}
where job_id is null
