{{ config(meta={'unites': ['instance']}) }}

{%- set only = 'false' if flags.FULL_REFRESH else of_touched_jobs() -%}
{%- set attempt_hash = row_hash(['job_id', 'attempt_id']) %}

with

instances as (
    {{ union_staging('instance', [
        'cluster_id', 'job_id', 'task_id', 'instance_id', 'attempt_id', 'machine_id', 'status_source', 'start_s',
        'started_at', 'ended_at', 'row_text as whole_row',
    ], only) }}
),

-- Rows of one key are rows of one attempt; only where an attempt has several is one ever judged by its text.
repeated_attempts as (
    select {{ attempt_hash }} as attempt_hash
    from ({{ union_staging('instance', ['job_id', 'attempt_id'], only) }}) as attempts
    group by attempt_hash
    having count(*) > 1
)

select
    instances.cluster_id,
    instances.job_id,
    instances.task_id,
    instances.instance_id,
    instances.attempt_id,
    instances.machine_id,
    instances.status_source,
    instances.start_s,
    instances.started_at,
    instances.ended_at,
    case
        when
            {{ row_hash(['instances.job_id', 'instances.attempt_id']) }}
            in (select repeated_attempts.attempt_hash from repeated_attempts)
            then {{ text_of_row('instances.whole_row') }}
    end as row_text,
    instances.source,
    instances.landing_id,
    instances.landing_no,
    instances.source_row
from instances
