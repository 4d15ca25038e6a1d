{{ config(materialized='ephemeral') }}

-- States with the time from which each is told: its own, else that of its delivery. And until when its source has told
-- anything: a state without an end is not known to have gone on after that. What was seen after the last known day is of
-- none.
with

landings as (
    select * from {{ source('meta', 'landings') }}
),

last_words as (
    select
        cluster_id,
        source,
        greatest(max(landed_at), max(max_event_at)) as last_word_at
    from landings
    group by cluster_id, source
),

windows as (
    select
        cluster_id,
        max(ends_at) as ends_at
    from {{ ref('silver_days') }}
    group by cluster_id
)

select
    delivered.cluster_id,
    delivered.machine_id,
    delivered.state,
    delivered.state_source,
    delivered.reason,
    coalesce(delivered.from_at, landings.landed_at) as from_at,
    delivered.to_at,
    delivered.from_at is null as is_seen,
    last_words.last_word_at,
    delivered.known_fields,
    delivered.row_text,
    delivered.landing_no,
    delivered.landing_id,
    delivered.source_row
from {{ ref('int_delivered_machine_states') }} as delivered
inner join landings
    on delivered.landing_id = landings.landing_id
left join last_words
    on delivered.cluster_id = last_words.cluster_id
        and delivered.source = last_words.source
left join windows
    on delivered.cluster_id = windows.cluster_id
where delivered.state is not null and (delivered.from_at is not null or landings.landed_at < windows.ends_at)
