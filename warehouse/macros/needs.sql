{#
    What a source's figure_needs.yml lists, as the rows of a `values`: table, column, the bronze table that it needs, and why no
    table can give it.
#}
{% macro need_rows(needs) -%}
    {%- set rows = [] -%}
    {%- for need in needs -%}
        {%- for table_name, columns in need.figures.items() -%}
            {%- for column_name in columns -%}
                {%- do rows.append([table_name, column_name, need.table, need.reason]) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for row in rows %}
    (
        {{ text_literal(row[0]) }}, {{ text_literal(row[1]) }}, {{ text_literal(row[2]) }}, {{ text_literal(row[3]) }}
    ){{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
