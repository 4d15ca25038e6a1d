{{ config(materialized='ephemeral') }}

-- GPUs of machines that nobody describes, from the first to the last sight of each in each machine; and since when
-- another machine has it, told by which landing. A GPU is in one place at a time: where it is seen in two, it is in the
-- one that came later, unless the other outlives that one by a day; then it never left.
with

described as (
    select
        cluster_id,
        machine_id
    from {{ ref('int_delivered_machines') }}
    where not is_seen
),

spells as (
    select
        cluster_id,
        machine_id,
        gpu_uuid,
        min(seen_at) as first_at,
        max(seen_at) as last_at,
        min(landing_no) as first_landing_no
    from {{ ref('int_delivered_gpus') }}
    where
        gpu_uuid is not null
        and machine_id is not null
        and seen_at is not null
        and (cluster_id, machine_id) not in (select (described.cluster_id, described.machine_id) from described)
    group by cluster_id, machine_id, gpu_uuid
),

paired as (
    select
        spells.*,
        elsewhere.machine_id as other_machine_id,
        elsewhere.first_at as other_first_at,
        elsewhere.first_landing_no as other_landing_no,
        (elsewhere.first_at, elsewhere.machine_id) < (spells.first_at, spells.machine_id) as was_before,
        elsewhere.last_at > spells.last_at + interval 1 day as is_shorter,
        spells.last_at > elsewhere.last_at + interval 1 day as is_longer
    from spells
    left join spells as elsewhere
        on spells.cluster_id = elsewhere.cluster_id
            and spells.gpu_uuid = elsewhere.gpu_uuid
            and spells.machine_id != elsewhere.machine_id
)

select
    cluster_id,
    machine_id,
    gpu_uuid,
    first_at,
    last_at,
    first_landing_no,
    coalesce(max(was_before), false) as has_come,
    min(case when was_before and is_shorter then first_at when not was_before and not is_longer then other_first_at end)
        as left_at,
    min(
        case
            when was_before and is_shorter then first_landing_no
            when not was_before and not is_longer then other_landing_no
        end
    ) as left_landing_no
from paired
group by cluster_id, machine_id, gpu_uuid, first_at, last_at, first_landing_no
