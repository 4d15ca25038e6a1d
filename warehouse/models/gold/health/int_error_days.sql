{{ config(materialized='ephemeral') }}

-- How many errors of each class each day had: events as they are folded, and of what counters tell the GPUs that had any.
-- Only days on which something could be told are days.
with

events as (
    select
        days.cluster_id,
        days.dt,
        events.event_class,
        events.machine_id,
        count(*) as errors
    from {{ ref('silver_events') }} as events
    inner join {{ ref('silver_days') }} as days
        on events.cluster_id = days.cluster_id
            and events.happened_at >= days.starts_at
            and events.happened_at < days.ends_at
    where events.severity != 'info'
    group by days.cluster_id, days.dt, events.event_class, events.machine_id
),

gpu_days as (
    select * from {{ ref('gold_gpu_health_daily') }}
    where sampled_s > 0
),

counted as (
    select
        gpu_days.cluster_id,
        gpu_days.dt,
        counters.event_class,
        gpu_days.machine_id,
        count(
            nullif(case counters.event_class
                when 'corrected memory errors' then gpu_days.ecc_corrected
                when 'uncorrected memory errors' then gpu_days.ecc_uncorrected
                when 'PCIe replays' then gpu_days.pcie_replays
                else gpu_days.nvlink_errors
            end, 0)
        ) as errors
    from gpu_days
    cross join (
        values ('corrected memory errors'), ('uncorrected memory errors'), ('PCIe replays'), ('NVLink errors')
    ) as counters (event_class)
    group by gpu_days.cluster_id, gpu_days.dt, counters.event_class, gpu_days.machine_id
),

told as (
    select * from events
    union all
    select * from counted
    where errors > 0
),

told_days as (
    select
        cluster_id,
        dt
    from gpu_days
    union
    select
        cluster_id,
        dt
    from events
),

classes as (
    select distinct
        cluster_id,
        event_class
    from told
)

select
    classes.cluster_id,
    told_days.dt,
    classes.event_class,
    coalesce(sum(told.errors), 0) as errors,
    coalesce(max(told.errors), 0) as most_of_a_machine,
    {{ last_by('told.machine_id', 'told.errors') }} as main_machine_id
from classes
inner join told_days
    on classes.cluster_id = told_days.cluster_id
left join told
    on classes.cluster_id = told.cluster_id
        and told_days.dt = told.dt
        and classes.event_class = told.event_class
group by classes.cluster_id, told_days.dt, classes.event_class
