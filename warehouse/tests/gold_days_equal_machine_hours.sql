-- Σ parts = whole: what a day has covered is the sum of its machine-hours, and every day of the window has its row.
with

hours as (
    select
        cluster_id,
        dt,
        sum(gpu_covered_s * gpu_count) as covered_gpu_s,
        sum(cpu_covered_s * cpu_cores) as covered_core_s
    from {{ ref('silver_machine_hours') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt
)

select
    days.cluster_id,
    days.dt,
    gold.covered_gpu_s,
    hours.covered_gpu_s as covered_gpu_s_of_hours
from {{ ref('silver_days') }} as days
full outer join {{ ref('gold_cluster_util_daily') }} as gold
    on days.cluster_id = gold.cluster_id and days.dt = gold.dt
left join hours
    on days.cluster_id = hours.cluster_id and days.dt = hours.dt
where
    days.dt is null
    or gold.dt is null
    or (
        {{ of_tested_days(of='days.') }}
        and (
            coalesce(gold.covered_gpu_s, 0) != coalesce(hours.covered_gpu_s, 0)
            or coalesce(gold.covered_core_s, 0) != coalesce(hours.covered_core_s, 0)
        )
    )
