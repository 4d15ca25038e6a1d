{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_gpu_models') }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'gpu_model'
)

select
    delivered.gpu_model_source,
    delivered.is_cited,
    delivered.architecture,
    delivered.released,
    delivered.memory_type,
    {{ plausible_amounts('gpu_model') }},
    delivered.interconnect,
    delivered.source_url,
    delivered.note,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
