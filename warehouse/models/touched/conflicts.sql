{{ config(materialized='view', meta={'unites': ['instance', 'usage']}) }}

with

conflict_rows as (
    select * from {{ ref('conflict_rows') }}
),

instance_conflicts as (
    {{ losing_rows('instance') }}
),

usage_conflicts as (
    {{ losing_rows('usage') }}
),

losers as (
    {% for losers in ['conflict_rows', 'instance_conflicts', 'usage_conflicts'] -%}
    select
        entity,
        cluster_id,
        is_equal
    from {{ losers }}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
)

select
    entity,
    cluster_id,
    count(*) as losers,
    count(case when is_equal then 1 end) as equal_rows,
    count(case when not is_equal then 1 end) as beaten_rows
from losers
group by entity, cluster_id
