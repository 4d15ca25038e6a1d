{# How plain files write what is no single value: lists of devices in one field. #}

{#
    The numbers of a list of devices: `0,1`, `[0, 1]`, `0;1` or `0 1`. Null where a text is none of these, as `0-3`: read as
    two numbers it would name two devices of four.
#}
{% macro plain_indices(text) %}{{ return(adapter.dispatch('plain_indices', 'gpulake')(text)) }}{% endmacro %}
{% macro duckdb__plain_indices(text) -%}
    case
        when regexp_full_match({{ text }}, '\s*\[?\s*\d{1,4}(\s*[,; ]\s*\d{1,4})*\s*\]?\s*')
            then cast(regexp_extract_all({{ text }}, '\d+') as bigint[])
    end
{%- endmacro %}

{# The names of a list of devices, in the same ways of writing; quotes are left out. #}
{% macro plain_names(text) %}{{ return(adapter.dispatch('plain_names', 'gpulake')(text)) }}{% endmacro %}
{% macro duckdb__plain_names(text) -%}
    nullif(regexp_extract_all({{ text }}, '[^\[\]\s,;"'']+'), [])
{%- endmacro %}

{# How many entries a list has; null where there is no list. #}
{% macro list_size(list) %}{{ return(adapter.dispatch('list_size', 'gpulake')(list)) }}{% endmacro %}
{% macro duckdb__list_size(list) -%}
    len({{ list }})
{%- endmacro %}

{#
    A PCI address as `00000000:07:00.0`: the domain has 4 digits, 8, or is left out, by who writes it. Null where it is none.
#}
{% macro plain_pci_bus_id(text) %}{{ return(adapter.dispatch('plain_pci_bus_id', 'gpulake')(text)) }}{% endmacro %}
{% macro duckdb__plain_pci_bus_id(text) -%}
    case
        when regexp_full_match(lower(trim({{ text }})), '([0-9a-f]{1,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')
            then lpad(regexp_extract(lower(trim({{ text }})), '^([0-9a-f]{1,8}):[0-9a-f]{2}:', 1), 8, '0')
                || ':' || regexp_extract(lower(trim({{ text }})), '[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$')
    end
{%- endmacro %}
