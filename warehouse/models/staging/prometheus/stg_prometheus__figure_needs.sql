-- What this source's figures need, and what it cannot give, stands beside this file in figure_needs.yml.
select
    'prometheus' as source,
    needs.table_name,
    needs.column_name,
    needs.needs_table,
    needs.reason
from (
    values
    {{ need_rows(config.get('meta').needs) }}
) as needs (table_name, column_name, needs_table, reason)
