{{ config(materialized='ephemeral') }}

-- The first and the last moment that a landing has a record of, in rows that stand: a beaten row counts for nothing. Of few
-- landings that takes a look at their rows (shaken_landings): of none of them, where asking gives no value.
{%- set shaken = asked_first('select landing_id from ' ~ ref('shaken_landings')) %}

with

landings as (
    select * from {{ source('meta', 'landings') }}
),

standing as (
    {%- for entity, times in entity_times().items() %}
    select
        delivered.landing_id,
        least(delivered.{{ times | join(', delivered.') }}) as first_event_at,
        greatest(delivered.{{ times | join(', delivered.') }}) as last_event_at
    from {{ ref('int_delivered_' ~ entity ~ 's') }} as delivered
    left join {{ ref('conflict_rows') }} as beaten
        on beaten.entity = '{{ entity }}'
            and delivered.landing_id = beaten.landing_id
            and delivered.source_row = beaten.source_row
    where delivered.landing_id in ({{ shaken }}) and beaten.landing_id is null
    union all
    {%- endfor %}
    select
        delivered.landing_id,
        least(delivered.started_at, delivered.ended_at) as first_event_at,
        greatest(delivered.started_at, delivered.ended_at) as last_event_at
    from {{ ref('int_delivered_instances') }} as delivered
    left join {{ ref('judged_instances') }} as judged
        on delivered.landing_no = judged.landing_no
            and delivered.source_row = judged.source_row
    where delivered.landing_id in ({{ shaken }}) and coalesce(judged.stands, true)
)

select
    landing_id,
    cluster_id,
    min_event_at,
    max_event_at
from landings
where max_event_at is not null and not coalesce(landing_id in ({{ shaken }}), false)
union all
select
    landings.landing_id,
    landings.cluster_id,
    min(standing.first_event_at) as min_event_at,
    max(standing.last_event_at) as max_event_at
from standing
inner join landings
    on standing.landing_id = landings.landing_id
where standing.last_event_at is not null
group by landings.landing_id, landings.cluster_id
