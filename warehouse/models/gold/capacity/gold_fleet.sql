{{ config(materialized='table', tags=['full_builds_only']) }}

with

machines as (
    select * from {{ ref('silver_machines') }}
    where valid_to is null
)

select
    cluster_id,
    count(distinct machine_id) as machines,
    cast(coalesce(sum(gpu_count), 0) as bigint) as gpus
from machines
group by cluster_id
