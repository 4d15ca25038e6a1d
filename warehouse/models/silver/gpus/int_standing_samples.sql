{{ config(materialized='ephemeral') }}

-- Samples that no build has taken in yet, one per device and time.
with

-- For its one reader: kept it would hold the text of every row.
delivered as {{ inlined() }} (
    select * from {{ ref('int_delivered_gpu_samples') }}
    where {{ of_new_landings() }}
),

places as (
    select * from {{ ref('int_gpu_places') }}
),

beaten as (
    select * from {{ ref('beaten_gpu_samples') }}
)

select
    delivered.*,
    {{ gpu_device('coalesce(delivered.gpu_index, places.gpu_index)', 'delivered.gpu_uuid', 'delivered.mig_id') }}
        as gpu_device
from delivered
left join places
    on delivered.cluster_id = places.cluster_id
        and delivered.machine_id = places.machine_id
        and delivered.gpu_uuid = places.gpu_uuid
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.source_row is null
