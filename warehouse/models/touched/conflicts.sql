{{ config(materialized='view') }}

with

losers as (
    select
        entity,
        cluster_id,
        is_equal
    from {{ ref('conflict_rows') }}
    where entity != 'machine'
    union all
    -- A machine's row that is no dated fact of its own: said before, or overruled.
    select
        'machine' as entity,
        delivered.cluster_id,
        {{ machine_facts('delivered') }} in (
            select {{ machine_facts('standing') }}
            from {{ ref('int_delivered_machines') }} as standing
            inner join {{ ref('silver_machines') }} as facts
                on standing.landing_id = facts.landing_id
                    and standing.source_row = facts.source_row
            where standing.cluster_id = delivered.cluster_id and standing.machine_id = delivered.machine_id
        ) as is_equal
    from {{ ref('int_delivered_machines') }} as delivered
    left join {{ ref('silver_machines') }} as machines
        on delivered.landing_id = machines.landing_id
            and delivered.source_row = machines.source_row
    where machines.landing_id is null
    union all
    select
        'instance' as entity,
        cluster_id,
        is_equal
    from {{ ref('judged_instances') }}
    where not stands
)

select
    entity,
    cluster_id,
    count(*) as losers,
    count(case when is_equal then 1 end) as equal_rows,
    count(case when not is_equal then 1 end) as beaten_rows
from losers
group by entity, cluster_id
