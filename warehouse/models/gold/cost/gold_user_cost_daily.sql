{{ config(materialized='incremental', pre_hook="{{ delete_due_days() }}") }}

with

costs as (
    select * from {{ ref('int_owned_costs') }}
    where {{ of_due_days() }}
)

select
    cluster_id,
    dt,
    user_id,
    cast(sum(cast(allocated_gpu_h as decimal(18, 6))) as double) as allocated_gpu_h,
    cast(sum(case when cost_usd is null then cast(allocated_gpu_h as decimal(18, 6)) else 0 end) as double)
        as unpriced_gpu_h,
    cast(sum(cost_usd) as decimal(18, 2)) as cost_usd
from costs
group by cluster_id, dt, user_id
