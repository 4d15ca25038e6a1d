{{ config(materialized='table') }}

-- A cluster may be told of by several sources: what one of them gives is known. Where none does, that is told which a table
-- would give, before that which nothing can.
with

figures as (
    select * from {{ ref('int_source_figures') }}
),

sources as (
    select
        cluster_id,
        count(*) as sources
    from {{ ref('int_told_clusters') }}
    group by cluster_id
),

asked as (
    select
        figures.cluster_id,
        figures.table_name,
        figures.column_name,
        count(case when not figures.available then 1 end) < max(sources.sources) as available,
        max(case when not figures.available then figures.missing_table end) as missing_table,
        {{ first_by(
            'figures.reason', '(case when figures.missing_table is null then 1 else 0 end, figures.source)',
            'not figures.available',
        ) }} as reason
    from figures
    inner join sources
        on figures.cluster_id = sources.cluster_id
    group by figures.cluster_id, figures.table_name, figures.column_name
)

select
    cluster_id,
    table_name,
    column_name,
    available,
    case when not available then missing_table end as missing_table,
    case when not available then reason end as reason
from asked
