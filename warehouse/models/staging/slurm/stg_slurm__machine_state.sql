with

events as (
    select * from {{ source('bronze', 'bronze_slurm_event') }}
    where node is not null
),

nodes as (
    select * from {{ source('bronze', 'bronze_slurm_node') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- The accounting tells from when to when a node was not available.
spans as (
    select
        node,
        state,
        state_reason,
        from_at,
        to_at,
        landing_id,
        source_row
    from events
    where from_at is not null
),

-- What nodes are when they are looked at: since when is told where somebody gave a reason for it. Else only that it is so
-- then, and when that was the delivery itself does not say.
sightings as (
    select
        node,
        state,
        state_reason,
        case when {{ slurm_node_state('state') }} in ('down', 'drained') then reason_at end as from_at,
        cast(null as timestamp) as to_at,
        landing_id,
        source_row
    from nodes
    where {{ slurm_node_state('state') }} is not null
),

states as (
    select * from spans
    union all
    select * from sightings
)

select
    landings.cluster_id,
    states.node as machine_id,
    {{ slurm_node_state('states.state') }} as state,
    states.state as state_source,
    states.state_reason as reason,
    states.from_at,
    states.to_at,
    {{ row_text(['states.node', 'states.state', 'states.state_reason', 'states.from_at', 'states.to_at']) }} as row_text,
    landings.source,
    landings.landing_no,
    states.landing_id,
    states.source_row
from states
inner join landings
    on states.landing_id = landings.landing_id
