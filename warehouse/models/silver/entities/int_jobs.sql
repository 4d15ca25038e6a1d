{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_jobs') }}
    where {{ delivered_of_touched_jobs() }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'job'
)

select
    delivered.cluster_id,
    delivered.job_id,
    delivered.instance_id,
    delivered.user_id,
    delivered.group_id,
    delivered.queue,
    delivered.status_source,
    delivered.start_time,
    delivered.end_time,
    delivered.submitted_at,
    delivered.ended_at,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
