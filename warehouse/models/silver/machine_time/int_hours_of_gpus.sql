{{ config(materialized='ephemeral') }}

-- What samples of single GPUs say of their machine's hour: seconds that all of its GPUs were measured for together, and use
-- summed over them. Where more devices were sampled than a machine is said to have, they share its GPUs.
with

gpus as (
    select * from {{ ref('silver_gpu_hours') }}
    where mig_id is null and {{ of_touched_days('machine_window') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
)

select
    gpus.cluster_id,
    gpus.machine_id,
    gpus.dt,
    gpus.hour_start_at,
    gpus.hour_s,
    least(
        gpus.hour_s,
        cast(sum(gpus.use_covered_s) as bigint) // greatest(coalesce(max(machines.gpu_count), 0), count(*))
    ) as gpu_covered_s,
    cast(sum(gpus.used_us) as bigint) * 100 * least(coalesce(max(machines.gpu_count), count(*)), count(*)) // count(*)
        as gpu_pct_us
from gpus
left join machines
    on gpus.cluster_id = machines.cluster_id
        and gpus.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'gpus.hour_start_at') }}
group by gpus.cluster_id, gpus.machine_id, gpus.dt, gpus.hour_start_at, gpus.hour_s
having sum(gpus.use_covered_s) > 0
