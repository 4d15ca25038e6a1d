-- A delivery of machines has everything built in full, so nothing is added here between full builds.
{{ config(materialized='table', tags=['full_builds_only']) }}

with

machines as (
    select * from {{ ref('int_machines') }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
)

select
    machines.cluster_id,
    machines.machine_id,
    case when machines.gpu_count > 0 then aliases.gpu_model end as gpu_model,
    machines.gpu_model_source,
    machines.gpu_count,
    machines.cpu_cores,
    machines.memory_bytes,
    machines.valid_from,
    machines.valid_to,
    case
        when machines.gpu_count is null or machines.gpu_count = 0 then null
        when clusters.pools = 'all' then 'all'
        else coalesce(aliases.gpu_model, machines.gpu_model_source, 'unnamed model')
    end as pool,
    machines.landing_id,
    machines.source_row
from machines
left join aliases
    on lower(machines.gpu_model_source) = lower(aliases.alias)
left join clusters
    on machines.cluster_id = clusters.cluster_id
