{{ config(materialized='ephemeral') }}

-- For how long each machine was there in the time that is known, and how often it failed: critical incidents. Only of
-- clusters of which somebody tells errors or states.
with

told as (
    select distinct cluster_id
    from {{ ref('silver_events') }}
    union
    select distinct cluster_id
    from {{ ref('silver_machine_states') }}
    union
    select distinct cluster_id
    from {{ source('meta', 'landings') }}
    where table_name like '%event%'
),

windows as (
    select
        landings.cluster_id,
        min(landings.min_event_at) as first_at,
        max(landings.max_event_at) as last_at
    from {{ source('meta', 'landings') }} as landings
    inner join told
        on landings.cluster_id = told.cluster_id
    group by landings.cluster_id
),

machines as (
    select
        machines.cluster_id,
        machines.machine_id,
        {{ last_by('machines.gpu_model', "coalesce(machines.valid_from, timestamp '0001-01-01')") }} as gpu_model,
        {{ last_by('machines.pool', "coalesce(machines.valid_from, timestamp '0001-01-01')") }} as pool,
        sum(greatest(
            {{ seconds_between(
                'greatest(windows.first_at, coalesce(machines.valid_from, windows.first_at))',
                'least(windows.last_at, coalesce(machines.valid_to, windows.last_at))'
            ) }},
            0
        )) / 86400.0 as node_days
    from {{ ref('silver_machines') }} as machines
    inner join windows
        on machines.cluster_id = windows.cluster_id
    group by machines.cluster_id, machines.machine_id
),

failures as (
    select
        cluster_id,
        machine_id,
        count(*) as failures
    from {{ ref('gold_gpu_incidents') }}
    where severity = 'critical'
    group by cluster_id, machine_id
)

select
    machines.cluster_id,
    machines.machine_id,
    machines.gpu_model,
    machines.pool,
    machines.node_days,
    coalesce(failures.failures, 0) as failures
from machines
left join failures
    on machines.cluster_id = failures.cluster_id
        and machines.machine_id = failures.machine_id
