with

jobs as (
    select * from {{ ref('int_slurm__latest') }}
)

-- The number alone is in instance_id of stg_slurm__instance; this second id is what tags stand at (stg_slurm__group_tag).
select
    cluster_id,
    job_id,
    job_id as instance_id,
    "user" as user_id,
    account as group_id,
    partition as queue,
    status_source,
    {{ seconds_between("timestamp '1970-01-01'", 'first_submitted_at') }} as start_time,
    {{ seconds_between("timestamp '1970-01-01'", 'job_ended_at') }} as end_time,
    first_submitted_at as submitted_at,
    job_ended_at as ended_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from jobs
