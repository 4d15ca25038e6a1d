{{ config(materialized='ephemeral') }}
{%- set delivered = [
    ref('int_delivered_jobs'), ref('int_delivered_tasks'), ref('int_delivered_instances'), ref('int_delivered_usages'),
    ref('int_delivered_gpu_holds'),
] -%}

-- Jobs that pending landings name, and those that were on a machine of which their samples tell.
{% for rows in delivered -%}
select
    cluster_id,
    job_id
from {{ rows }}
where {{ pending_only() }} and job_id is not null
union
{% endfor -%}
select
    cluster_id,
    job_id
from {{ ref('int_sampled_jobs') }}
