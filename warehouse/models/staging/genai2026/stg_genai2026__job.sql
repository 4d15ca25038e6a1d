with

containers as (
    select * from {{ ref('stg_genai2026__instance') }}
)

-- start_time is a submission, and none is recorded.
select
    cluster_id,
    job_id,
    instance_id,
    cast(null as varchar) as user_id,
    cast(null as varchar) as group_id,
    cast(null as varchar) as queue,
    status_source,
    cast(null as double) as start_time,
    {{ seconds_between("timestamp '1970-01-01'", 'ended_at') }} as end_time,
    cast(null as timestamp) as submitted_at,
    ended_at,
    row_text,
    source,
    landing_no,
    landing_id,
    source_row
from containers
