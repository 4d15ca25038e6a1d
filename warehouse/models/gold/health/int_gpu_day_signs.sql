{{ config(materialized='ephemeral') }}

-- What of a GPU's day says that it is sick, what that somebody should look, and how much of it nobody saw: in words.
with

figures as (
    select * from {{ ref('int_gpu_day_figures') }}
),

events as (
    select * from {{ ref('int_gpu_day_events') }}
),

-- Where nothing was ever told of a cluster's errors, that none is known says nothing.
told as (
    select distinct cluster_id
    from {{ ref('silver_events') }}
),

joined as (
    select
        figures.*,
        told.cluster_id is not null as knows_events,
        coalesce(events.xids_critical, 0) as xids_critical,
        coalesce(events.xids_warning, 0) as xids_warning,
        coalesce(events.xids_info, 0) as xids_info,
        coalesce(events.xids_unknown, 0) as xids_unknown,
        coalesce(events.critical_events, 0) as critical_events,
        coalesce(events.warning_events, 0) as warning_events,
        coalesce(events.application_lines, 0) as application_lines,
        events.critical_to_do,
        events.critical_names,
        events.warning_names,
        events.application_names
    from figures
    left join events
        on figures.day_cluster_id = events.cluster_id
            and figures.day_dt = events.dt
            and figures.day_machine_id = events.machine_id
            and figures.day_gpu_device = events.gpu_device
    left join told
        on figures.day_cluster_id = told.cluster_id
)

select
    *,
    {{ sick_words() }} as sick_words,
    {{ look_words() }} as look_words,
    {{ unseen_words() }} as unseen_words,
    {{ well_words() }} as well_words
from joined
