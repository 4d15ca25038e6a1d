{# '16 GB, HBM2, 4096 bit' as bytes; the scrape's GB and MB are binary. #}
{% macro memory_text_to_bytes(text) -%}
    cast(round({{ leading_number(text) }} * case
        when {{ text }} like '%GB%' then 1073741824
        when {{ text }} like '%MB%' then 1048576
    end) as bigint)
{%- endmacro %}
