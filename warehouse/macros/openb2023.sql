{# The text of a delivered pod. #}
{% macro openb_pod_text() -%}
    {{ row_text([
        'name', 'cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli', 'gpu_spec', 'qos', 'pod_phase', 'creation_time',
        'deletion_time', 'scheduled_time',
    ]) }}
{%- endmacro %}

{% macro mib_to_bytes(column) -%}
    cast(round({{ column }} * 1048576) as bigint)
{%- endmacro %}
