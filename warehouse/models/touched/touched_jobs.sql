{%- set delivered = [
    ref('int_delivered_jobs'), ref('int_delivered_tasks'), ref('int_delivered_instances'), ref('int_delivered_usages'),
] -%}

{% if is_full_build() -%}
-- A full build reads every job, so it names none.
select
    cast(null as varchar) as cluster_id,
    cast(null as varchar) as job_id
where false
{%- else -%}
{%- for rows in delivered %}
select
    cluster_id,
    job_id
from {{ rows }}
where {{ pending_only() }} and job_id is not null
union
{%- endfor %}
select
    cluster_id,
    job_id
from {{ ref('int_delivered_gpu_holds') }}
where {{ pending_only() }}
union
-- What was measured of a machine while a job was on it may be of that job.
select
    cluster_id,
    job_id
from {{ ref('int_sampled_jobs') }}
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
