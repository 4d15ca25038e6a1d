{{ config(materialized='table') }}

-- One state at a time: of rows that begin at the same moment the later landing's stands, and each state ends where the next
-- begins, at the latest.
with

delivered as (
    select * from {{ ref('int_delivered_machine_states') }}
    where state is not null and from_at is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by cluster_id, machine_id, from_at
            order by landing_no desc, known_fields desc, row_text desc, source_row desc
        ) as place
    from delivered
)

select
    cluster_id,
    machine_id,
    state,
    state_source,
    reason,
    from_at,
    least(to_at, lead(from_at) over (partition by cluster_id, machine_id order by from_at)) as to_at,
    landing_id,
    source_row
from ranked
where place = 1
