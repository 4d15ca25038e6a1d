{{ config(materialized='view', meta={'unites': ['machine']}) }}

with

machines as (
    {{ winning_rows('machine', [
        'cluster_id', 'machine_id', 'gpu_model_source', 'gpu_count', 'cpu_cores', 'memory_bytes',
    ]) }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
)

select
    machines.cluster_id,
    machines.machine_id,
    case when machines.gpu_count > 0 then aliases.gpu_model end as gpu_model,
    machines.gpu_model_source,
    machines.gpu_count,
    machines.cpu_cores,
    machines.memory_bytes,
    cast(null as timestamp) as valid_from,
    cast(null as timestamp) as valid_to
from machines
left join aliases
    on machines.gpu_model_source = aliases.alias
