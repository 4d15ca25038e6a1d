-- What this source's figures need, and what it cannot give, stands beside this file in figure_needs.yml.
{%- set rows = [] %}
{%- for need in config.get('meta').needs %}
    {%- for table_name, columns in need.figures.items() %}
        {%- for column_name in columns %}
            {%- do rows.append([table_name, column_name, need.table, need.reason]) %}
        {%- endfor %}
    {%- endfor %}
{%- endfor %}

select
    'slurm' as source,
    needs.table_name,
    needs.column_name,
    needs.needs_table,
    needs.reason
from (
    values
    {%- for row in rows %}
    (
        {{ text_literal(row[0]) }}, {{ text_literal(row[1]) }}, {{ text_literal(row[2]) }}, {{ text_literal(row[3]) }}
    ){{ ',' if not loop.last }}
    {%- endfor %}
) as needs (table_name, column_name, needs_table, reason)
