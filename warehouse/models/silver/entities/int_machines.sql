{{ config(materialized='ephemeral') }}

-- What was delivered of machines, dated. A machine's first row holds for the whole window; a changed one from the cluster's
-- now before its delivery, the end of the last day that a record covers; a row's own time stands before that. A delivery
-- that corrects says how it always was. A row that a later delivery overrules from its first moment on is left out.
with

delivered as (
    select * from {{ ref('int_told_machines') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

last_moments as (
    select
        landings.landing_id,
        landings.cluster_id,
        coalesce(landings.corrects, false) as corrects,
        max(case when earlier.landed_at < landings.landed_at then times.max_event_at end) as last_event_at
    from landings
    inner join landings as earlier
        on landings.cluster_id = earlier.cluster_id
    left join {{ ref('int_landing_times') }} as times
        on earlier.landing_id = times.landing_id
    where landings.landing_id in (select delivered.landing_id from delivered)
    group by landings.landing_id, landings.cluster_id, landings.corrects
),

said as (
    select
        delivered.*,
        last_moments.corrects,
        case when not last_moments.corrects then days.ends_at end as now_at,
        lag({{ machine_facts('delivered') }}) over said_before as facts_before
    from delivered
    inner join last_moments
        on delivered.landing_id = last_moments.landing_id
    left join {{ ref('int_recorded_days') }} as days
        on last_moments.cluster_id = days.cluster_id
            and last_moments.last_event_at > days.starts_at
            and last_moments.last_event_at <= days.ends_at
    left join {{ ref('conflict_rows') }} as beaten
        on beaten.entity = 'machine'
            and delivered.landing_id = beaten.landing_id
            and delivered.source_row = beaten.source_row
    where beaten.landing_id is null
    window said_before as (partition by delivered.cluster_id, delivered.machine_id order by delivered.landing_no)
),

changed as (
    select
        *,
        coalesce(valid_from, case when facts_before is not null then now_at end) as holds_from,
        min(coalesce(valid_from, case when facts_before is not null then now_at end, timestamp '0001-01-01')) over (
            partition by cluster_id, machine_id
            order by landing_no
            rows between 1 following and unbounded following
        ) as overruled_from
    from said
    where facts_before is null or corrects or facts_before != {{ machine_facts('said') }}
)

select
    cluster_id,
    machine_id,
    gpu_model_source,
    gpu_count,
    cpu_cores,
    memory_bytes,
    delivered_gpu_count,
    delivered_cpu_cores,
    delivered_memory_bytes,
    holds_from as valid_from,
    least(valid_to, lead(holds_from) over (partition by cluster_id, machine_id order by landing_no)) as valid_to,
    landing_id,
    source_row
from changed
where overruled_from is null or overruled_from > coalesce(holds_from, timestamp '0001-01-01')
