with

jobs as (
    select * from {{ ref('int_plain__job') }}
)

-- Tags stand at the job's second id, which plain jobs do not have: their own is taken (stg_plain__group_tag).
select
    cluster_id,
    job_id,
    job_id as instance_id,
    user_id,
    group_id,
    queue,
    status as status_source,
    {{ seconds_between("timestamp '1970-01-01'", 'submitted_at') }} as start_time,
    {{ seconds_between("timestamp '1970-01-01'", 'ended_at') }} as end_time,
    submitted_at,
    ended_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from jobs
