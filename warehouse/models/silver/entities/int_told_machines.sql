{{ config(materialized='ephemeral') }}

-- What is told of machines. What was only seen of one, by those who ask what answers there, counts where nobody says what it
-- has: a GPU that does not answer is still there, so it has the most that were seen so far, less those that are elsewhere.
with

described as (
    select
        cluster_id,
        machine_id
    from {{ ref('int_delivered_machines') }}
    where not is_seen
),

losing as (
    select * from {{ ref('int_seen_gpus') }}
    qualify count(left_at) over (partition by cluster_id, machine_id) > 0
),

left_there as (
    select
        machines.cluster_id,
        machines.machine_id,
        machines.landing_no,
        count(case when losing.left_landing_no is null or losing.left_landing_no > machines.landing_no then 1 end) as gpus
    from {{ ref('int_delivered_machines') }} as machines
    inner join losing
        on machines.cluster_id = losing.cluster_id
            and machines.machine_id = losing.machine_id
            and machines.landing_no >= losing.first_landing_no
    group by machines.cluster_id, machines.machine_id, machines.landing_no
),

told as (
    select
        delivered.cluster_id,
        delivered.machine_id,
        delivered.gpu_model_source,
        case
            when delivered.is_seen
                then least(
                    max(delivered.gpu_count) over (
                        partition by delivered.cluster_id, delivered.machine_id order by delivered.landing_no
                    ),
                    nullif(left_there.gpus, 0)
                )
            else delivered.gpu_count
        end as gpu_count,
        delivered.cpu_cores,
        delivered.memory_bytes,
        delivered.valid_from,
        delivered.valid_to,
        delivered.landing_id,
        delivered.landing_no,
        delivered.source_row
    from {{ ref('int_delivered_machines') }} as delivered
    left join left_there
        on delivered.cluster_id = left_there.cluster_id
            and delivered.machine_id = left_there.machine_id
            and delivered.landing_no = left_there.landing_no
    where
        not delivered.is_seen
        or (delivered.cluster_id, delivered.machine_id) not in (
            select (described.cluster_id, described.machine_id) from described
        )
)

select
    cluster_id,
    machine_id,
    gpu_model_source,
    {{ plausible_amounts('machine') }},
    valid_from,
    valid_to,
    landing_id,
    landing_no,
    source_row
from told
