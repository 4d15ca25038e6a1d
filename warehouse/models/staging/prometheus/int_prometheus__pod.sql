{{ config(materialized='ephemeral') }}

-- One row per delivery and pod: its times, its node, what it asked for, and its last phase. A pod that was deleted
-- before the delivery's last sample of any pod ended when it was last seen, if it had not ended before.
with

samples as (
    select * from {{ ref('int_prometheus__pod_sample') }}
),

ends as (
    select
        landing_id,
        max(sampled_at) as last_at
    from samples
    group by landing_id
),

-- A pod's request is the sum over its containers, at any one time.
requests as (
    select
        landing_id,
        pod_id,
        sampled_at,
        sum(case when asked_for = 'nvidia_com_gpu' or asked_for = 'amd_com_gpu' then value end) as gpus,
        sum(case when asked_for like 'nvidia_com_mig_%' then value end) as mig_devices,
        sum(case when asked_for = 'cpu' then value end) as cpu_cores,
        sum(case when asked_for = 'memory' then value end) as memory_bytes
    from samples
    where metric = 'kube_pod_container_resource_requests'
    group by
        landing_id,
        pod_id,
        sampled_at
),

requested as (
    select
        landing_id,
        pod_id,
        max(gpus) as gpus,
        max(mig_devices) as mig_devices,
        max(cpu_cores) as cpu_cores,
        max(memory_bytes) as memory_bytes
    from requests
    group by
        landing_id,
        pod_id
),

pods as (
    select
        landing_id,
        pod_id,
        max(pod_namespace) as pod_namespace,
        max(node) as node,
        max(priority_class) as priority_class,
        max(owner_kind) as owner_kind,
        max(owner_name) as owner_name,
        max(case when metric = 'kube_pod_created' then value end) as created_s,
        min(case when metric = 'kube_pod_status_scheduled_time' then value end) as scheduled_s,
        max(case when metric = 'kube_pod_completion_time' then value end) as completed_s,
        {{ last_by("case when metric = 'kube_pod_status_phase' and value = 1 then phase end", 'sampled_at') }} as phase,
        max(case when metric = 'kube_pod_status_reason' and value = 1 then reason end) as reason,
        max(sampled_at) as seen_at,
        min(source_row) as source_row
    from samples
    group by
        landing_id,
        pod_id
)

select
    pods.*,
    pods.seen_at < ends.last_at as is_gone,
    requested.gpus,
    requested.mig_devices,
    requested.cpu_cores,
    requested.memory_bytes
from pods
inner join ends
    on pods.landing_id = ends.landing_id
left join requested
    on pods.landing_id = requested.landing_id
        and pods.pod_id = requested.pod_id
