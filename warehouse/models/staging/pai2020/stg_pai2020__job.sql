with

events as (
    select * from {{ source('bronze', 'bronze_job_events') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    events.job_name as job_id,
    events.inst_id as instance_id,
    events."user" as user_id,
    cast(null as varchar) as group_id,
    cast(null as varchar) as queue,
    events.status as status_source,
    {{ pai_seconds('events.start_time') }} as start_time,
    {{ pai_seconds('events.end_time') }} as end_time,
    {{ epoch_to_utc(pai_seconds('events.start_time')) }} as submitted_at,
    {{ epoch_to_utc(pai_seconds('events.end_time')) }} as ended_at,
    {{ row_text(['job_name', 'inst_id', '"user"', 'status', 'start_time', 'end_time']) }} as row_text,
    landings.source,
    landings.landing_no,
    events.landing_id,
    events.source_row
from events
inner join landings
    on events.landing_id = landings.landing_id
