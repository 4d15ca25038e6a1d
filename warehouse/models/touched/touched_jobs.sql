{{ config(meta={'unites': ['job', 'task', 'instance', 'usage', 'group_tag']}) }}

{% if flags.FULL_REFRESH -%}
-- A full build reads every job, so it names none.
select
    cast(null as varchar) as cluster_id,
    cast(null as varchar) as job_id
where false
{%- else -%}
{{ pending_jobs('job') }}
union
{{ pending_jobs('task') }}
union
{{ pending_jobs('instance') }}
union
{{ pending_jobs('usage') }}
union
{{ pending_tagged_jobs() }}
{%- endif %}
