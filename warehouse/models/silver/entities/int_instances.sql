{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_instances') }}
    where {{ delivered_of_touched_jobs() }}
),

-- Few attempts have several rows; a row that is not judged stands, and is the one that its attempt's sensors measured.
judged as (
    select * from {{ ref('judged_instances') }}
    where {{ of_touched_jobs() }}
)

select
    delivered.cluster_id,
    delivered.job_id,
    delivered.task_id,
    delivered.instance_id,
    delivered.attempt_id,
    delivered.machine_id,
    delivered.status_source,
    delivered.start_s,
    delivered.started_at,
    delivered.ended_at,
    coalesce(judged.is_measured, true) as is_measured,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join judged
    on delivered.landing_no = judged.landing_no
        and delivered.source_row = judged.source_row
where coalesce(judged.stands, true)
