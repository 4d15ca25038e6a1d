with

samples as (
    select * from {{ ref('stg_genai2026__usage') }}
),

-- A container is many delivered rows. It has the lineage of one of its latest landing's: whatever arrives of a container,
-- its row is pending then, and its job and days are built anew. A landing's line names one container, so no two share it.
lives as (
    select
        *,
        min(measured_from) over (partition by cluster_id, job_id) as first_sample_at,
        max(measured_from) over (partition by cluster_id, job_id) as last_sample_at,
        row_number() over (partition by cluster_id, job_id order by landing_no desc, source_row asc) as place
    from samples
),

containers as (
    select
        *,
        first_sample_at as started_at,
        last_sample_at + interval {{ genai_sample_s() }} second as ended_at
    from lives
    where place = 1
)

-- Seen from its first sample to the end of its last: it may have run before and after. No status is recorded.
select
    cluster_id,
    job_id,
    task_id,
    job_id as instance_id,
    attempt_id,
    machine_id,
    cast(null as varchar) as status_source,
    {{ seconds_between("timestamp '1970-01-01'", 'started_at') }} as start_s,
    started_at,
    ended_at,
    {{ row_text(['job_id', 'started_at', 'ended_at']) }} as row_text,
    source,
    landing_no,
    landing_id,
    source_row
from containers
