{{ config(meta={'unites': ['job', 'task', 'instance', 'group_tag']}) }}

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
-- A tag names its job by the job's second id.
select
    jobs.cluster_id,
    jobs.job_id
from ({{ union_staging('job', ['cluster_id', 'job_id', 'instance_id']) }}) as jobs
inner join ({{ union_staging('group_tag', ['cluster_id', 'instance_id'], pending_only()) }}) as tags
    on jobs.cluster_id = tags.cluster_id
        and jobs.instance_id = tags.instance_id
{%- endif %}
