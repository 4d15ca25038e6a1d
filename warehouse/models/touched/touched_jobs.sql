{% if is_full_build() -%}
-- A full build reads every job, so it names none.
select
    cast(null as varchar) as cluster_id,
    cast(null as varchar) as job_id
where false
{%- else -%}
select
    cluster_id,
    job_id
from {{ ref('int_pending_jobs') }}
union
-- Who shares a device with somebody does not have it alone any more, or has it alone now.
select
    cluster_id,
    job_id
from {{ ref('int_sharing_jobs') }}
union
-- A tag names a job by its second id. A job that is not in silver_jobs yet is pending itself.
select
    jobs.cluster_id,
    jobs.job_id
from {{ as_it_was('silver_jobs') }} as jobs
inner join {{ ref('int_delivered_group_tags') }} as tags
    on jobs.cluster_id = tags.cluster_id
        and jobs.instance_id = tags.instance_id
where tags.{{ pending_only() }}
{%- endif %}
