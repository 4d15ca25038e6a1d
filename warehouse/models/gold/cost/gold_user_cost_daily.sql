{{ config(materialized='view') }}

with

costs as (
    select * from {{ ref('int_owned_costs') }}
)

select
    cluster_id,
    dt,
    user_id,
    sum(allocated_gpu_h) as allocated_gpu_h,
    sum(case when cost_usd is null then allocated_gpu_h else 0 end) as unpriced_gpu_h,
    cast(sum(cost_usd) as decimal(18, 2)) as cost_usd
from costs
group by cluster_id, dt, user_id
