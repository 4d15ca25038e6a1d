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
),

names as (
    select * from {{ ref('int_machine_names') }}
)

select
    machines.cluster_id,
    machines.machine_id,
    case when machines.gpu_count > 0 then aliases.gpu_model end as gpu_model,
    machines.gpu_model_source,
    machines.gpu_count,
    machines.cpu_cores,
    machines.memory_bytes,
    greatest(machines.valid_from, names.named_from) as valid_from,
    least(machines.valid_to, names.named_to) as valid_to,
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
left join names
    on machines.cluster_id = names.cluster_id
        and machines.machine_id = names.machine_id
where
    names.machine_id is null
    or coalesce(greatest(machines.valid_from, names.named_from) < least(machines.valid_to, names.named_to), true)
