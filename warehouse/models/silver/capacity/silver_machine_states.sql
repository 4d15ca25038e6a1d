{{ config(materialized='table') }}

-- One state at a time: of rows that begin at the same moment the later landing's stands, and each state ends where the next
-- begins, at the latest. What a machine was seen to be is a state of its own where it was another one until then, and
-- not within a span that is told from its begin to its end.
with

told as (
    select * from {{ ref('int_told_machine_states') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by cluster_id, machine_id, from_at
            order by is_seen asc, landing_no desc, known_fields desc, row_text desc, source_row desc
        ) as place,
        max(case when not is_seen then to_at end) over (
            partition by cluster_id, machine_id
            order by from_at
            range between unbounded preceding and current row
        ) as told_until_at
    from told
),

followed as (
    select
        *,
        lag(state) over (partition by cluster_id, machine_id order by from_at) as state_before
    from ranked
    where place = 1 and not (is_seen and coalesce(told_until_at > from_at, false))
),

-- Nobody said that it was up before it was first seen to be.
standing as (
    select *
    from followed
    where not is_seen or state_before != state or (state_before is null and state != 'up')
)

select
    cluster_id,
    machine_id,
    state,
    state_source,
    reason,
    from_at,
    least(to_at, lead(from_at) over in_time) as to_at,
    least(
        coalesce(to_at, greatest(last_word_at, from_at), timestamp '9999-12-31'),
        lead(from_at) over in_time
    ) as told_until_at,
    landing_id,
    source_row
from standing
window in_time as (partition by cluster_id, machine_id order by from_at)
