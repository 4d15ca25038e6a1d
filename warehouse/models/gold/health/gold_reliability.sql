with

machines as (
    select * from {{ ref('int_failing_machines') }}
),

intervals as (
    select * from {{ ref('poisson_intervals') }}
),

ways as (
    select ways.grouped_by
    from (values ('all'), ('machine'), ('gpu_model'), ('pool')) as ways (grouped_by)
),

valued as (
    select
        machines.cluster_id,
        machines.node_days,
        machines.failures,
        ways.grouped_by,
        case ways.grouped_by
            when 'all' then 'all'
            when 'machine' then machines.machine_id
            when 'gpu_model' then machines.gpu_model
            else machines.pool
        end as value
    from machines
    cross join ways
),

grouped as (
    select
        cluster_id,
        grouped_by,
        value,
        cast(count(*) as bigint) as machines,
        cast(sum(failures) as bigint) as failures,
        {{ exact_sum('node_days') }} as node_days
    from valued
    group by cluster_id, grouped_by, value
),

bounded as (
    select
        grouped.*,
        {{ poisson_mean_low_of('grouped.failures', 'intervals') }} as failures_low,
        {{ poisson_mean_high_of('grouped.failures', 'intervals') }} as failures_high
    from grouped
    left join intervals
        on grouped.failures = intervals.events
)

select
    cluster_id,
    grouped_by,
    value,
    machines,
    node_days,
    failures,
    {{ ratio('failures', 'node_days') }} as failures_per_node_day,
    {{ ratio('failures_low', 'node_days') }} as low_failures_per_node_day,
    {{ ratio('failures_high', 'node_days') }} as high_failures_per_node_day,
    {{ ratio('node_days * 24', 'failures') }} as mtbf_h,
    {{ ratio('node_days * 24', 'failures_high') }} as mtbf_low_h,
    {{ ratio('node_days * 24', 'failures_low') }} as mtbf_high_h
from bounded
