-- Every accepted row is in bronze once: rows of a bronze table = Σ rows_kept of the landings that went into it.
with

landed as (
    select
        bronze_table,
        sum(rows_kept) as rows_kept
    from {{ source('meta', 'landings') }}
    group by bronze_table
),

held as (
    {% for table in graph.sources.values() if table.source_name == 'bronze' -%}
    select
        '{{ table.name }}' as bronze_table,
        count(*) as rows_held
    from {{ table.relation_name }}
    {% if not loop.last %}union all
    {% endif -%}
    {%- else %}
    select
        null as bronze_table,
        0 as rows_held
    where false
    {%- endfor %}
)

select
    held.bronze_table,
    held.rows_held,
    coalesce(landed.rows_kept, 0) as rows_kept
from held
full outer join landed
    on held.bronze_table = landed.bronze_table
where coalesce(held.rows_held, 0) != coalesce(landed.rows_kept, 0)
