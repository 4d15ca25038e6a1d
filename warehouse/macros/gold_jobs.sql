{# What jobs add up to, for gold_jobs. #}

{# A ratio of sums; null where there is nothing to divide by. #}
{% macro ratio(part, whole) -%}
    ({{ part }}) / nullif({{ whole }}, 0)
{%- endmacro %}

{# The amounts of jobs over all their days, and their spans without bounds: one row per job that has either. #}
{% macro job_totals(job_days, unbounded_spans) -%}
    select
        cluster_id,
        job_id,
        {% for name in amounts() -%}
        cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s,
        {% endfor -%}
        cast(sum(spans) as bigint) as unbounded_spans
    from (
        select
            cluster_id,
            job_id,
            {% for name in amounts() -%}
            {{ name }}_mgpu_s,
            {% endfor -%}
            0 as spans
        from {{ job_days }}
        union all
        select
            cluster_id,
            job_id,
            {% for name in amounts() -%}
            0 as {{ name }}_mgpu_s,
            {% endfor -%}
            spans
        from {{ unbounded_spans }}
    ) as held_and_unbounded
    group by cluster_id, job_id
{%- endmacro %}

{# What jobs cost: null as soon as one of a job's days has no price, and then the reason. #}
{% macro job_costs(cost_days) -%}
    select
        cluster_id,
        job_id,
        case when count(cost_usd) = count(*) then cast(sum(cost_usd) as decimal(18, 2)) end as cost_usd,
        min(price_reason) as cost_reason
    from {{ cost_days }}
    where not is_idle
    group by cluster_id, job_id
{%- endmacro %}

{#
    The machines on which jobs held GPUs: how many, and the GPUs of the largest. Not known where a source names none, or leaves
    one out.
#}
{% macro job_machines(parts, machines) -%}
    select
        job_key,
        case when count(*) = count(machine_key) then count(*) end as machines_used,
        case when count(*) = count(machine_key) then max(gpu_count) end as largest_gpu_count
    from (
        select
            {{ row_key(['parts.cluster_id', 'parts.job_id']) }} as job_key,
            case when parts.machine_id is not null then {{ row_key(['parts.cluster_id', 'parts.machine_id']) }} end as machine_key,
            max(machines.gpu_count) as gpu_count
        from {{ parts }} as parts
        left join {{ machines }} as machines
            on parts.cluster_id = machines.cluster_id
                and parts.machine_id = machines.machine_id
        group by job_key, machine_key
    ) as used
    group by job_key
{%- endmacro %}

{#
    GPUs and GPU memory that jobs used, from their parts. The most that a job can have used at once is the sum, over its
    instances, of the largest use that any attempt of the instance shows: attempts follow each other, instances stand side by
    side. One instance without a measurement leaves it unknown.
#}
{% macro job_uses(parts) -%}
    select
        job_key,
        case when count(*) = count(gpu_used_count)
            then cast(sum(cast(gpu_used_count as decimal(18, 6))) as double)
        end as gpu_used_count_max,
        {{ whole('sum(mem_bytes_s) / nullif(sum(mem_s), 0)') }} as gpu_mem_used_bytes_mean,
        max(mem_bytes_max) as gpu_mem_used_bytes_max,
        max(mem_bytes_of_a_gpu) as mem_bytes_of_a_gpu
    from (
        select
            {{ row_key(['cluster_id', 'job_id']) }} as job_key,
            instance_hash,
            max(gpu_used_count) as gpu_used_count,
            sum({{ wide_integer('gpu_mem_used_bytes_mean') }} * (end_s - start_s)) as mem_bytes_s,
            sum(case when gpu_mem_used_bytes_mean is not null then end_s - start_s end) as mem_s,
            max(gpu_mem_used_bytes_max) as mem_bytes_max,
            max(gpu_mem_used_bytes_max / greatest(ceil(held_mgpu / 1000), 1)) as mem_bytes_of_a_gpu
        from {{ parts }}
        group by job_key, instance_hash
    ) as instances
    group by job_key
{%- endmacro %}

{# Which figures of gold_jobs a cluster's source does not give, by gold_availability. #}
{% macro lacking_figures(availability) -%}
    select
        cluster_id,
        max(case when column_name = 'allocated_gpu_h' and not available then 1 else 0 end) = 1 as lacks_allocation,
        max(case when column_name = 'active_gpu_h' and not available then 1 else 0 end) = 1 as lacks_use
    from {{ availability }}
    where table_name = 'gold_jobs'
    group by cluster_id
{%- endmacro %}

{#
    Every job of the job table, and every job that held GPUs without standing there. What a job held is counted where it has
    totals, and is 0 where its tasks are known and the cluster's instances too; else nobody knows it.
#}
{% macro jobs_and_totals(jobs, totals, lacking) -%}
    select
        coalesce(jobs.cluster_id, totals.cluster_id) as cluster_id,
        coalesce(jobs.job_id, totals.job_id) as job_id,
        {% for column in ['user_id', 'group_id', 'queue', 'status_source', 'submitted_at', 'started_at', 'ended_at',
                          'submitted_day', 'wait_s', 'run_s', 'gpu_model', 'size_class', 'gpu_request_count'] -%}
        jobs.{{ column }},
        {% endfor -%}
        coalesce(jobs.job_status, 'unknown') as job_status,
        {% for name in amounts() -%}
        coalesce(totals.{{ name }}_mgpu_s, 0) as {{ name }}_mgpu_s,
        {% endfor -%}
        coalesce(totals.unbounded_spans, 0) as spans_found,
        totals.job_id is not null or (jobs.n_tasks is not null and not coalesce(lacking.lacks_allocation, false))
            as is_counted,
        coalesce(lacking.lacks_use, false) as lacks_use
    from {{ jobs }} as jobs
    full outer join {{ totals }} as totals
        on jobs.cluster_id = totals.cluster_id
            and jobs.job_id = totals.job_id
    left join {{ lacking }} as lacking
        on coalesce(jobs.cluster_id, totals.cluster_id) = lacking.cluster_id
{%- endmacro %}
