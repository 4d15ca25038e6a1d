{# What a job asks for, over its tasks; requests are per instance. A job's GPU model is that of its GPU tasks, if it is one. #}
{% macro job_requests(tasks) -%}
    select
        cluster_id,
        job_id,
        count(*) as n_tasks,
        cast(sum(instance_count) as bigint) as n_instances,
        sum(cast(gpu_request_count * instance_count as decimal(18, 6))) as gpu_request_count,
        sum(cast(cpu_request_cores * instance_count as decimal(18, 6))) as cpu_request_cores,
        cast(sum(memory_request_bytes * instance_count) as bigint) as memory_request_bytes,
        case
            when
                min(case when gpu_request_count > 0 then gpu_model_source end)
                = max(case when gpu_request_count > 0 then gpu_model_source end)
                then max(case when gpu_request_count > 0 then gpu_model_source end)
        end as gpu_model_source
    from {{ tasks }}
    group by cluster_id, job_id
{%- endmacro %}

{# How large a job is, by the GPUs it asks for; null where no task of it is known. #}
{% macro size_class(gpus, n_tasks) -%}
    case
        when {{ n_tasks }} is null then null
        when coalesce({{ gpus }}, 0) = 0 then 'cpu'
        when {{ gpus }} < 1 then '<1'
        when {{ gpus }} = 1 then '1'
        when {{ gpus }} < 8 then '2-7'
        when {{ gpus }} = 8 then '8'
        else '>8'
    end
{%- endmacro %}

{#
    When a job started. An instance that was placed on a machine without a recorded start may have been the first: then the
    job's start is not known, and the earliest recorded one is only the latest that it can have been. A job of which no instance
    was placed, with a machine or a start to show for it, never started.
#}
{% macro job_starts(instances) -%}
    select
        cluster_id,
        job_id,
        {{ epoch_to_utc('min(start_s)') }} as started_by_at,
        greatest({{ epoch_to_utc('max(start_s)') }}, max(ended_at)) as last_seen_at,
        count(case when machine_id is not null or start_s is not null then 1 end) > 0 as was_placed,
        case
            when count(case when machine_id is not null and start_s is null then 1 end) = 0
                then {{ epoch_to_utc('min(start_s)') }}
        end as started_at
    from {{ instances }}
    group by cluster_id, job_id
{%- endmacro %}

{# The common word of each source's word: of several rows the one decided last stands. #}
{% macro status_words() -%}
    select
        source,
        status_source,
        {{ last_by('job_status', 'decided_on') }} as job_status
    from {{ ref('status_map') }}
    group by source, status_source
{%- endmacro %}
