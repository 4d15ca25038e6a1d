{{ config(materialized='view') }}

with

instances as (
    select * from {{ ref('int_instances') }}
),

statuses as (
    select * from {{ ref('int_status_words') }}
)

select
    instances.cluster_id,
    instances.job_id,
    instances.task_id,
    instances.instance_id,
    instances.attempt_id,
    instances.machine_id,
    coalesce(statuses.job_status, 'unknown') as instance_status,
    instances.status_source,
    instances.started_at,
    instances.ended_at,
    {{ seconds_between('instances.started_at', 'instances.ended_at') }} as run_s,
    instances.landing_id,
    instances.source_row
from instances
left join statuses
    on instances.source = statuses.source
        and instances.status_source = statuses.status_source
