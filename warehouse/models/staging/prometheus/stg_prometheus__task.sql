with

pods as (
    select * from {{ ref('int_prometheus__pod') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- A device that is a part of a GPU is counted by no one number: a pod that asks for such alone has an unknown request.
select
    landings.cluster_id,
    pods.pod_id as job_id,
    'pod' as task_id,
    {{ pod_status('pods') }} as status_source,
    1 as instance_count,
    pods.cpu_cores as cpu_request_cores,
    pods.memory_bytes as memory_request_bytes,
    pods.gpus as gpu_request_count,
    cast(null as varchar) as gpu_model_source,
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
