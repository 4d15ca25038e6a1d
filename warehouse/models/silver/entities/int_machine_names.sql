{{ config(materialized='ephemeral') }}

-- From when to when a machine was called so, of those that nobody describes: where all GPUs that it had at last are found in
-- another one, it is that one by an older name; where all that it had at first came from another, it is that one by a newer.
with

gpus as (
    select
        *,
        first_at <= min(first_at) over of_machine + interval 1 day as was_there_first,
        last_at >= max(last_at) over of_machine - interval 1 day as was_there_last
    from {{ ref('int_seen_gpus') }}
    window of_machine as (partition by cluster_id, machine_id)
),

machines as (
    select
        cluster_id,
        machine_id,
        case when min(has_come or not was_there_first) then min(first_at) end as named_from,
        case when min(left_at is not null or not was_there_last) then min(case when was_there_last then left_at end) end
            as named_to
    from gpus
    group by cluster_id, machine_id
)

select * from machines
where named_from is not null or named_to is not null
