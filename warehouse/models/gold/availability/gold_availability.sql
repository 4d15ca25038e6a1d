{{ config(materialized='table') }}

with

needs as (
    select * from {{ ref('int_figure_needs') }}
),

clusters as (
    select * from {{ source('meta', 'clusters') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

landed as (
    select
        cluster_id,
        table_name,
        sum(rows_kept) as rows_kept
    from landings
    group by cluster_id, table_name
),

checked as (
    select
        clusters.cluster_id,
        needs.table_name,
        needs.column_name,
        coalesce(needs.needs_table, '') as needs_table,
        needs.reason,
        coalesce(landed.rows_kept, 0) > 0 as is_landed
    from clusters
    inner join needs
        on clusters.source = needs.source
    left join landed
        on clusters.cluster_id = landed.cluster_id
            and needs.needs_table = landed.table_name
)

select
    cluster_id,
    table_name,
    column_name,
    count(case when not is_landed then 1 end) = 0 as available,
    nullif(min(case when not is_landed then needs_table end), '') as missing_table,
    {{ first_by('reason', "coalesce(needs_table, '')", 'not is_landed') }} as reason
from checked
group by cluster_id, table_name, column_name
