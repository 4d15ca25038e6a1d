{% if is_full_build() -%}
-- A full build reads every landing, so it names none.
select cast(null as varchar) as landing_id
where false
{%- else -%}
with

touched_jobs as (
    select * from {{ ref('touched_jobs') }}
),

pending_jobs as (
    select * from {{ ref('int_delivered_jobs') }}
    where {{ pending_only() }}
),

pending_tags as (
    select * from {{ ref('int_delivered_group_tags') }}
    where {{ pending_only() }}
),

known_jobs as (
    select jobs.*
    from {{ as_it_was('silver_jobs') }} as jobs
    inner join touched_jobs
        on jobs.cluster_id = touched_jobs.cluster_id
            and jobs.job_id = touched_jobs.job_id
),

keys as (
    select {{ row_hash(['cluster_id', 'job_id']) }} as key_hash from touched_jobs
    union
    select {{ row_hash(['cluster_id', 'instance_id']) }} as key_hash from pending_jobs
    union
    select {{ row_hash(['cluster_id', 'instance_id']) }} as key_hash from pending_tags
    union
    select {{ row_hash(['cluster_id', 'instance_id']) }} as key_hash from known_jobs
)

select distinct landings.landing_id
from keys
inner join {{ ref('job_landings') }} as job_landings
    on keys.key_hash = job_landings.key_hash
inner join {{ source('meta', 'landings') }} as landings
    on job_landings.landing_no = landings.landing_no
{%- endif %}
