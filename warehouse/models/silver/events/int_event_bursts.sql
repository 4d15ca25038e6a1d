{{ config(materialized='ephemeral') }}

-- What one machine tells of one device, kind and code within a minute is one event, whoever tells it. A row that was
-- delivered twice counts once; of several who tell the same, who tells it most often is believed.
with

told as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        kind,
        code,
        happened_at,
        source,
        coalesce(message, '') as message,
        coalesce(process_id, -1) as process_id,
        max(last_at) as last_at,
        max(event_count) as event_count,
        max(process_name) as process_name,
        max(job_id) as job_id
    from {{ ref('int_event_devices') }}
    group by
        cluster_id, machine_id, gpu_device, kind, code, happened_at, source, coalesce(message, ''), coalesce(process_id, -1)
),

ordered as (
    select
        *,
        max(last_at) over (
            partition by cluster_id, machine_id, gpu_device, kind, code
            order by happened_at, source, message, process_id
            rows between unbounded preceding and 1 preceding
        ) as told_until
    from told
),

bursts as (
    select
        *,
        sum(case when happened_at <= told_until + interval 60 second then 0 else 1 end) over (
            partition by cluster_id, machine_id, gpu_device, kind, code
            order by happened_at, source, message, process_id
            rows unbounded preceding
        ) as burst_no
    from ordered
),

of_sources as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        kind,
        code,
        burst_no,
        source,
        min(happened_at) as happened_at,
        max(last_at) as last_at,
        cast(sum(event_count) as bigint) as event_count,
        min(nullif(message, '')) as message,
        case when min(process_id) = max(process_id) then nullif(min(process_id), -1) end as process_id,
        case when min(process_name) = max(process_name) then min(process_name) end as process_name,
        case when min(job_id) = max(job_id) then min(job_id) end as job_id
    from bursts
    group by cluster_id, machine_id, gpu_device, kind, code, burst_no, source
)

select
    cluster_id,
    machine_id,
    gpu_device,
    kind,
    code,
    burst_no,
    min(happened_at) as happened_at,
    max(last_at) as last_at,
    max(event_count) as event_count,
    max(message) as message,
    max(process_id) as process_id,
    max(process_name) as process_name,
    max(job_id) as labelled_job_id,
    {{ text_list('source') }} as sources
from of_sources
group by cluster_id, machine_id, gpu_device, kind, code, burst_no
