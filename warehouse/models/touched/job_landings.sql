{{ config(materialized='incremental') }}

{%- set delivered = [
    ref('int_delivered_jobs'), ref('int_delivered_tasks'), ref('int_delivered_instances'), ref('int_delivered_usages'),
] -%}

{% if is_full_build() -%}
-- A full build reads everything, so it need not know where things are: the next build looks at what has landed by then.
select
    cast(null as ubigint) as key_hash,
    cast(null as bigint) as landing_no
where false
{%- else -%}
{%- set new_landings = asked_first(
    'select landing_id from ' ~ source('meta', 'landings') ~ ' where landing_no > (select coalesce(max(landing_no), 0) from ' ~ this ~ ')'
) -%}
{%- for rows in delivered %}
select distinct
    {{ row_hash(['cluster_id', 'job_id']) }} as key_hash,
    landing_no
from {{ rows }}
where landing_id in ({{ new_landings }})
union
{%- endfor %}
select distinct
    {{ row_hash(['cluster_id', 'instance_id']) }} as key_hash,
    landing_no
from {{ ref('int_delivered_group_tags') }}
where landing_id in ({{ new_landings }})
{%- endif %}
