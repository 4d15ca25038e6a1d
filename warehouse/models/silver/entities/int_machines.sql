{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_machines') }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'machine'
)

select
    delivered.cluster_id,
    delivered.machine_id,
    delivered.gpu_model_source,
    {{ plausible_amounts('machine') }},
    delivered.valid_from,
    delivered.valid_to,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
