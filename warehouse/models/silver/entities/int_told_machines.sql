{{ config(materialized='ephemeral') }}

-- What is told of machines. What was only seen of one, by those who ask what answers there, counts where nobody says what it
-- has: a GPU that does not answer is still there, so it has the most that were seen so far.
with

described as (
    select
        cluster_id,
        machine_id
    from {{ ref('int_delivered_machines') }}
    where not is_seen
),

told as (
    select
        cluster_id,
        machine_id,
        gpu_model_source,
        case
            when is_seen then max(gpu_count) over (partition by cluster_id, machine_id order by landing_no)
            else gpu_count
        end as gpu_count,
        cpu_cores,
        memory_bytes,
        valid_from,
        valid_to,
        landing_id,
        landing_no,
        source_row
    from {{ ref('int_delivered_machines') }}
    where
        not is_seen
        or (cluster_id, machine_id) not in (select (described.cluster_id, described.machine_id) from described)
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
