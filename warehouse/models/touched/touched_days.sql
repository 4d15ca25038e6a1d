{{ config(meta={'unites': ['job', 'instance', 'machine_window']}) }}

{% if flags.FULL_REFRESH -%}
-- A full build touches every day of every cluster.
with

days as (
    select * from {{ ref('silver_days') }}
)

select
    entities.entity,
    days.cluster_id,
    days.dt
from days
cross join (values ('job'), ('instance'), ('machine_window'), ('allocation')) as entities (entity)
{%- else -%}
{{ pending_days('job', 'submitted_at', 'submitted_at', only=of_touched_jobs()) }}
union all
{{ pending_days('instance', 'started_at', 'ended_at') }}
union all
{{ pending_days('machine_window', 'started_at', 'ended_at') }}
union all
{{ pending_days('instance', 'started_at', 'ended_at', only=of_touched_jobs(), name='allocation') }}
{%- endif %}
