with

machine_states as (
    select * from {{ source('bronze', 'bronze_plain_machine_states') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    machine_states.machine_id,
    case
        when lower(trim(machine_states.state)) in ('up', 'ready', 'online', 'idle', 'mixed', 'allocated') then 'up'
        when lower(trim(machine_states.state)) in ('down', 'offline', 'notready', 'failed', 'lost') then 'down'
        when lower(trim(machine_states.state)) in ('drained', 'draining', 'drain', 'cordoned', 'maintenance') then 'drained'
    end as state,
    machine_states.state as state_source,
    machine_states.state_reason as reason,
    machine_states.from_at,
    machine_states.to_at,
    {{ row_text([
        'machine_states.machine_id', 'machine_states.state', 'machine_states.from_at', 'machine_states.to_at',
        'machine_states.state_reason',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    machine_states.landing_id,
    machine_states.source_row
from machine_states
inner join landings
    on machine_states.landing_id = landings.landing_id
