with

pods as (
    select * from {{ ref('int_prometheus__pod') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- A pod is a job of its own; its namespace is the team. Who asked for it is not known: pods are made by their owners.
select
    landings.cluster_id,
    pods.pod_id as job_id,
    cast(null as varchar) as instance_id,
    cast(null as varchar) as user_id,
    pods.pod_namespace as group_id,
    pods.priority_class as queue,
    {{ pod_status('pods') }} as status_source,
    pods.created_s as start_time,
    {{ pod_end_s('pods') }} as end_time,
    {{ epoch_to_utc('pods.created_s') }} as submitted_at,
    {{ epoch_to_utc(pod_end_s('pods')) }} as ended_at,
    {{ pod_row('pods') }} as row_text,
    landings.source,
    landings.landing_no,
    pods.landing_id,
    pods.source_row
from pods
inner join landings
    on pods.landing_id = landings.landing_id
