{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_tasks') }}
    where {{ delivered_of_touched_jobs() }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'task'
)

select
    delivered.cluster_id,
    delivered.job_id,
    delivered.task_id,
    delivered.status_source,
    {{ plausible_amounts('task') }},
    delivered.gpu_model_source,
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
