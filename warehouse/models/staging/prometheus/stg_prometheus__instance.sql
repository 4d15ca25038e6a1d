with

pods as (
    select * from {{ ref('int_prometheus__pod') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    pods.pod_id as job_id,
    'pod' as task_id,
    pods.pod_id as instance_id,
    pods.pod_id as attempt_id,
    pods.node as machine_id,
    {{ pod_status('pods') }} as status_source,
    pods.scheduled_s as start_s,
    {{ epoch_to_utc('pods.scheduled_s') }} as started_at,
    case when pods.scheduled_s is not null then {{ epoch_to_utc(pod_end_s('pods')) }} end as ended_at,
    {{ pod_row('pods') }} as row_text,
    landings.source,
    landings.landing_no,
    pods.landing_id,
    pods.source_row
from pods
inner join landings
    on pods.landing_id = landings.landing_id
