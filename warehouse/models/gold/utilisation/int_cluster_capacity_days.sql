{{ config(materialized='ephemeral') }}

-- GPU-seconds and core-seconds that a cluster's machines have on a day; null where no machine is described.
with

days as (
    select * from {{ ref('silver_days') }}
    where {{ of_due_days() }}
),

machines as (
    select
        days.cluster_id,
        days.dt,
        count(machines.gpu_count) as machines_with_a_gpu_count,
        cast(sum(machines.cpu_cores * {{ valid_seconds('days.starts_at', 'days.ends_at') }}) as bigint) as core_s
    from days
    inner join {{ ref('silver_machines') }} as machines
        on days.cluster_id = machines.cluster_id
    group by days.cluster_id, days.dt
),

gpus as (
    select
        cluster_id,
        dt,
        cast(sum(capacity_mgpu_s) // 1000 as bigint) as gpu_s
    from {{ ref('silver_capacity_hours') }}
    where {{ of_due_days() }}
    group by cluster_id, dt
)

select
    machines.cluster_id,
    machines.dt,
    case when machines.machines_with_a_gpu_count > 0 then coalesce(gpus.gpu_s, 0) end as capacity_gpu_s,
    machines.core_s as capacity_core_s
from machines
left join gpus
    on machines.cluster_id = gpus.cluster_id
        and machines.dt = gpus.dt
