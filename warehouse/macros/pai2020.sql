{# A PAI time: zero and below mean "not known" (its own tools blank them), never the first second of 1970. #}
{% macro pai_seconds(column) -%}
    case when {{ column }} > 0 then {{ column }} end
{%- endmacro %}

{# PAI's "GB" are GiB: its commonest request, 29.296875, is 30,000 MiB. #}
{% macro gib_to_bytes(column) -%}
    cast(round({{ column }} * 1073741824) as bigint)
{%- endmacro %}
