{{ config(meta={'unites': ['job', 'machine_window']}) }}

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
cross join (values ('job'), ('machine_window'), ('allocation')) as entities (entity)
{%- else -%}
{{ days_of_spans(
    'job', union_staging('job', ['cluster_id', 'submitted_at'], of_touched_jobs()), 'submitted_at', 'submitted_at',
) }}
union all
{{ days_of_spans(
    'machine_window', union_staging('machine_window', ['cluster_id', 'started_at', 'ended_at'], pending_only()),
    'started_at', 'ended_at',
) }}
union all
{{ days_of_spans('allocation', 'select * from ' ~ ref('touched_instances'), 'started_at', 'ended_at') }}
{%- endif %}
