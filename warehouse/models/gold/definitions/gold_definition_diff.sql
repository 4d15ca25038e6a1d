{{ config(materialized='view') }}

select
    cluster_id,
    job_id,
    definition,
    gpu_h,
    util_pct,
    util_low_pct,
    util_high_pct,
    denominator_gpu_h,
    left_out_gpu_h,
    unused_gpu_h,
    note
from {{ ref('int_definition_figures') }}
where job_id is not null
