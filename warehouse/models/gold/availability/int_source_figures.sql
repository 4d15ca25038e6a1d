{{ config(materialized='ephemeral') }}

-- Which figures each source of a cluster gives. A need is a table, one column of a table (`table.column`), or one of several
-- of these (`… or …`). A column is there where a file's header names it, or where a file has none: then the rows alone say
-- what they hold.
with

needs as (
    select * from {{ ref('int_figure_needs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

alternatives as (
    select
        needs_table,
        {{ text_pieces('needs_table', ' or ') }} as alternative
    from needs
    where needs_table is not null
    group by needs_table
),

landed as (
    select
        landings.cluster_id,
        alternatives.needs_table,
        sum(landings.rows_kept) as rows_kept
    from landings
    inner join alternatives
        on landings.table_name = {{ text_part('alternatives.alternative', '.', 1) }}
    where
        {{ text_part('alternatives.alternative', '.', 2) }} is null
        or landings.fields is null
        or landings.fields like concat('%"', {{ text_part('alternatives.alternative', '.', 2) }}, '"%')
    group by landings.cluster_id, alternatives.needs_table
),

checked as (
    select
        told_by.cluster_id,
        told_by.source,
        needs.table_name,
        needs.column_name,
        coalesce(needs.needs_table, '') as needs_table,
        needs.reason,
        coalesce(landed.rows_kept, 0) > 0 as is_landed
    from {{ ref('int_told_clusters') }} as told_by
    inner join needs
        on told_by.source = needs.source
    left join landed
        on told_by.cluster_id = landed.cluster_id
            and needs.needs_table = landed.needs_table
)

select
    cluster_id,
    source,
    table_name,
    column_name,
    count(case when not is_landed then 1 end) = 0 as available,
    nullif(min(case when not is_landed then needs_table end), '') as missing_table,
    {{ first_by('reason', "coalesce(needs_table, '')", 'not is_landed') }} as reason
from checked
group by cluster_id, source, table_name, column_name
