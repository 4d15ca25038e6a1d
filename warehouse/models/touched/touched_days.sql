with

days as (
    select * from {{ ref('int_recorded_days') }}
),
{% if is_full_build() %}
entities as (
    select entities.entity
    from (values ('job'), ('machine_window'), ('allocation'), ('event')) as entities (entity)
)

-- A full build touches every day of every cluster.
select
    entities.entity,
    days.cluster_id,
    days.dt
from days
cross join entities
{%- else %}
-- A span without an end, or without a start, touches the day of the time that it has.
steps as (
    select
        spans.entity,
        spans.cluster_id,
        case
            when borders.sign = 1 then {{ quarter_of('least(spans.started_at, spans.ended_at)') }}
            else {{ quarter_of('greatest(spans.started_at, spans.ended_at)') }} + 1
        end as quarter,
        borders.sign as step
    from {{ ref('int_touched_spans') }} as spans
    cross join (values (1), (-1)) as borders (sign)
),

summed_steps as (
    select
        entity,
        cluster_id,
        quarter,
        sum(step) as step
    from steps
    where quarter is not null
    group by entity, cluster_id, quarter
),

-- Counting open spans at quarter hours keeps this linear in the spans, however many days one covers.
stretches as (
    select
        entity,
        cluster_id,
        quarter,
        lead(quarter) over (partition by entity, cluster_id order by quarter) as next_quarter,
        sum(step) over (partition by entity, cluster_id order by quarter) as open_spans
    from summed_steps
)

select distinct
    stretches.entity,
    days.cluster_id,
    days.dt
from stretches
inner join days
    on stretches.cluster_id = days.cluster_id
        and stretches.quarter * 900 < {{ utc_to_epoch('days.ends_at') }}
        and stretches.next_quarter * 900 > {{ utc_to_epoch('days.starts_at') }}
where stretches.open_spans > 0
{%- endif %}
