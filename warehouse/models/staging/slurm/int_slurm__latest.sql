{{ config(materialized='ephemeral') }}

with

attempts as (
    select * from {{ ref('int_slurm__attempt') }}
),

placed as (
    select
        *,
        case when not goes_on and status_source != 'REQUEUED' then ended_at end as job_ended_at,
        min(submit) over (partition by landing_id, cluster_id, job_id) as first_submitted_at,
        row_number() over (
            partition by landing_id, cluster_id, job_id
            order by
                coalesce(submit, "start", "end") desc nulls last, started_at desc nulls last, ended_at desc nulls last,
                source_row asc
        ) as place
    from attempts
)

select *
from placed
where place = 1
