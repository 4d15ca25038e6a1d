{{ config(materialized='ephemeral') }}

-- One row per sample of kube-state-metrics about a pod, with the pod that it names. Where the server has kept its own
-- labels beside those of the exporter, the pod's are the exported ones.
with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select distinct
        landing_id,
        metric,
        labels
    from samples
    where metric like 'kube_pod_%'
),

named as (
    select
        landing_id,
        metric,
        labels,
        coalesce({{ label('labels', 'exported_namespace') }}, {{ label('labels', 'namespace') }}) as pod_namespace,
        coalesce({{ label('labels', 'exported_pod') }}, {{ label('labels', 'pod') }}) as pod,
        coalesce({{ label('labels', 'exported_node') }}, {{ label('labels', 'node') }}) as node,
        {{ label('labels', 'phase') }} as phase,
        {{ label('labels', 'reason') }} as reason,
        {{ label('labels', 'resource') }} as asked_for,
        {{ label('labels', 'priority_class') }} as priority_class,
        {{ label('labels', 'created_by_kind') }} as owner_kind,
        {{ label('labels', 'created_by_name') }} as owner_name
    from series
)

select
    samples.landing_id,
    named.pod_namespace || '/' || named.pod as pod_id,
    named.pod_namespace,
    named.node,
    named.phase,
    named.reason,
    named.asked_for,
    named.priority_class,
    named.owner_kind,
    named.owner_name,
    samples.metric,
    samples.sampled_at,
    samples.value,
    samples.source_row
from samples
inner join named
    on samples.landing_id = named.landing_id
        and samples.metric = named.metric
        and samples.labels = named.labels
where named.pod is not null
