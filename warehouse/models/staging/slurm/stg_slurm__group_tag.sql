with

jobs as (
    select * from {{ ref('int_slurm__latest') }}
)

-- Jobs repeat each other where one user gives them one name. The quality of service is the only word that a site has for the
-- kind of work a job is.
select
    cluster_id,
    job_id as instance_id,
    "user" as user_id,
    req_gpu_model as gpu_model_request,
    "user" || '/' || jobname as recurrence_id,
    qos as workload_tag,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from jobs
