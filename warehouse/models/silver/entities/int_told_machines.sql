{{ config(materialized='ephemeral') }}

-- What is told of machines. What was only seen of one, by those who ask what answers there, counts where nobody says what it
-- has.
with

described as (
    select
        cluster_id,
        machine_id
    from {{ ref('int_delivered_machines') }}
    where not is_seen
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
from {{ ref('int_delivered_machines') }}
where
    not is_seen
    or (cluster_id, machine_id) not in (select (described.cluster_id, described.machine_id) from described)
