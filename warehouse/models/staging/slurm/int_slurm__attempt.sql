{{ config(materialized='ephemeral') }}

with

records as (
    select * from {{ source('bronze', 'bronze_slurm_job') }}
    where jobid not like '%.%' and jobid not like '%[%'
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

named as (
    select
        landings.cluster_id,
        {{ slurm_job_id('records') }} as job_id,
        {{ slurm_attempt_id('records') }} as attempt_id,
        {{ slurm_state('records.state') }} as status_source,
        records.*,
        landings.source,
        landings.landing_no,
        coalesce(records.elapsedraw, 0) + coalesce(records.suspended_s, 0) as lasted_s,
        coalesce(records.alloc_gpus, records.req_gpus) as asked_gpus
    from records
    inner join landings
        on records.landing_id = landings.landing_id
),

-- Cancelled before it began: older Slurm gives it its end as a start, later Slurm none.
begun as (
    select
        *,
        status_source in (
            'PENDING', 'RUNNING', 'SUSPENDED', 'COMPLETING', 'CONFIGURING', 'RESIZING', 'SIGNALING', 'STAGE_OUT', 'STOPPED',
            'REQUEUE_HOLD', 'REQUEUE_FED', 'RESV_DEL_HOLD', 'SPECIAL_EXIT'
        ) as goes_on,
        nodes is null and lasted_s = 0 and status_source in ('CANCELLED', 'DEADLINE', 'PENDING') as never_began
    from named
)

select
    *,
    case
        when never_began then null
        when "start" is not null then "start"
        when nodes is not null and not goes_on and elapsedraw is not null
            then {{ epoch_to_utc(utc_to_epoch('"end"') ~ ' - lasted_s') }}
    end as started_at,
    case
        when "end" is not null then "end"
        when not goes_on and "start" is not null and elapsedraw is not null
            then {{ epoch_to_utc(utc_to_epoch('"start"') ~ ' + lasted_s') }}
    end as ended_at,
    greatest(coalesce(nullif(nodes_named, 0), nnodes, 1), 1) as nodes_held,
    {{ row_text([
        'jobid', '"user"', 'account', 'partition', 'qos', 'jobname', 'state', 'exitcode', 'submit', 'eligible', '"start"', '"end"',
        'elapsedraw', 'suspended_s', 'nodelist', 'reqtres', 'alloctres', 'req_gpus', 'alloc_gpus',
    ]) }} as row_text
from begun
