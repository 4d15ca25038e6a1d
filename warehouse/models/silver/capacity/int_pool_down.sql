{{ config(materialized='ephemeral') }}

-- What was down of each described pool in each hour, of clusters whose machines report their state: elsewhere nobody knows.
with

hours as (
    select
        cluster_id,
        dt,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from {{ ref('silver_days') }}
    where cluster_id in (select states.cluster_id from {{ ref('silver_machine_states') }} as states)
),

pools as (
    select * from {{ ref('silver_pools') }}
    where is_described
),

down as (
    select * from {{ ref('silver_down_hours') }}
)

select
    hours.cluster_id,
    hours.dt,
    hours.hour_no,
    pools.pool,
    cast(coalesce(sum(down.down_mgpu_s), 0) as bigint) as down_mgpu_s
from hours
inner join pools
    on hours.cluster_id = pools.cluster_id
left join down
    on hours.cluster_id = down.cluster_id
        and hours.dt = down.dt
        and hours.hour_no = down.hour_no
        and pools.pool = down.pool
group by hours.cluster_id, hours.dt, hours.hour_no, pools.pool
