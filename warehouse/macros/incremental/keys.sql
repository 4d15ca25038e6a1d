{#
    What makes two delivered rows the same fact, per entity. `narrow` is a part of the key that nearly always differs:
    repeated rows are first looked for by its hash, and only there by the whole key.
    `only` leaves out rows that silver does not take. `again` says which rows an incremental build must look through: those that
    can share a key with a pending one. Instances are judged with their attempts (touched/judged_instances.sql).
    What landings say of one machine are dated facts, not rows of one key (int_machines).
#}
{% macro entity_keys() -%}
    {{ return({
        'job': {'key': ['cluster_id', 'job_id'], 'narrow': ['job_id'], 'again': delivered_of_touched_jobs()},
        'task': {
            'key': ['cluster_id', 'job_id', 'task_id'],
            'narrow': ['job_id', 'task_id'],
            'again': delivered_of_touched_jobs(),
        },
        'usage': {
            'key': ['cluster_id', 'job_id', 'attempt_id', 'measured_from', 'gpu_device'],
            'narrow': ['job_id', 'attempt_id', 'measured_from'],
            'again': delivered_of_touched_jobs(),
        },
        'group_tag': {
            'key': ['cluster_id', 'instance_id'],
            'narrow': ['instance_id'],
            'again': of_pending_keys('group_tag', 'instance_id'),
        },
        'machine': {
            'key': ['cluster_id', 'machine_id', 'landing_no'],
            'narrow': ['machine_id', 'landing_no'],
            'again': of_pending_keys('machine', 'machine_id'),
        },
        'machine_window': {
            'key': ['cluster_id', 'worker_id', 'machine_id', 'started_at', 'ended_at'],
            'narrow': ['worker_id', 'started_at', 'ended_at'],
            'only': 'ended_at is not null',
            'again': within_pending_range('machine_window', 'end_s'),
        },
        'gpu_model': {
            'key': ['gpu_model_source'],
            'narrow': ['gpu_model_source'],
            'again': of_pending_keys('gpu_model', 'gpu_model_source'),
        },
    }) }}
{%- endmacro %}

{# The columns whose moments a row of an entity records: a cluster's window is made of them, and of the times of instances. #}
{% macro entity_times() -%}
    {{ return({
        'job': ['submitted_at', 'ended_at'],
        'task': ['submitted_at', 'ended_at'],
        'machine_window': ['started_at', 'ended_at'],
    }) }}
{%- endmacro %}

{% macro of_pending_keys(entity, column) -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    {{ column }} in (select {{ column }} from {{ ref('int_delivered_' ~ entity ~ 's') }} where {{ pending_only() }})
    {%- endif %}
{%- endmacro %}

{# The range of a number, as the source has it, over the pending rows. #}
{% macro within_pending_range(entity, column) -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
        {%- set pending_rows = ref('int_delivered_' ~ entity ~ 's') ~ ' where ' ~ pending_only() -%}
    {{ column }} between ({{ asked_first('select min(' ~ column ~ ') from ' ~ pending_rows) }})
        and ({{ asked_first('select max(' ~ column ~ ') from ' ~ pending_rows) }})
    {%- endif -%}
{%- endmacro %}
