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

-- What nodes are at one moment tells since when, where it is a state that somebody gave a reason for, and never until when.
sightings as (
    select
        node,
        state,
        state_reason,
        reason_at as from_at,
        cast(null as timestamp) as to_at,
        landing_id,
        source_row
    from nodes
    where reason_at is not null and {{ slurm_node_state('state') }} in ('down', 'drained')
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
