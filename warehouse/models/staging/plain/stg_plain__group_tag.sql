with

jobs as (
    select * from {{ ref('int_plain__job') }}
)

select
    cluster_id,
    job_id as instance_id,
    user_id,
    gpu_model_request,
    recurrence_id,
    workload_tag,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from jobs
where gpu_model_request is not null or recurrence_id is not null or workload_tag is not null
