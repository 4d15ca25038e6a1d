{{ config(materialized='view') }}

with

hours as (
    select * from {{ ref('silver_machine_hours') }}
),

held as (
    select * from {{ ref('silver_machine_days') }}
    where machine_id is not null
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select * from {{ ref('silver_days') }}
),

accounted as (
    {{ accounted_clusters() }}
),

used as (
    select
        cluster_id,
        dt,
        machine_id,
        cast(sum(gpu_covered_s) as bigint) as gpu_covered_s,
        sum(gpu_pct_s) as gpu_pct_s,
        cast(sum(cpu_covered_s) as bigint) as cpu_covered_s,
        sum(cpu_pct_s) as cpu_pct_s,
        {{ exact_mean('load_1m') }} as load_1m,
        {{ exact_mean('net_rx_bytes_per_s') }} as net_rx_bytes_per_s
    from hours
    group by cluster_id, dt, machine_id
),

joined as (
    select
        coalesce(used.cluster_id, held.cluster_id) as cluster_id,
        coalesce(used.dt, held.dt) as dt,
        coalesce(used.machine_id, held.machine_id) as machine_id,
        used.gpu_covered_s,
        used.gpu_pct_s,
        used.cpu_covered_s,
        used.cpu_pct_s,
        used.load_1m,
        used.net_rx_bytes_per_s,
        {% for name in amounts() -%}
        held.{{ name }}_mgpu_s,
        {% endfor -%}
        held.over_allocated_mgpu_s,
        held.main_job_id
    from used
    full outer join held
        on used.cluster_id = held.cluster_id
            and used.dt = held.dt
            and used.machine_id = held.machine_id
)

select
    joined.cluster_id,
    joined.dt,
    joined.machine_id,
    machines.pool,
    machines.gpu_count,
    cast(joined.gpu_pct_s / nullif(joined.gpu_covered_s * machines.gpu_count, 0) as double) as gpu_util_pct,
    coalesce(joined.gpu_covered_s, 0) / cast(days.day_s as double) as coverage_ratio,
    cast(joined.cpu_pct_s / nullif(joined.cpu_covered_s, 0) as double) as cpu_util_pct,
    joined.load_1m,
    joined.net_rx_bytes_per_s,
    case when accounted.cluster_id is not null then coalesce(joined.allocated_mgpu_s, 0) / (days.day_s * 1000.0) end
        as gpus_allocated,
    {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'zero_util', 'over_use', 'over_allocated'] -%}
    case when {{ 'accounted.is_measured' if name in use_amounts() else 'accounted.cluster_id is not null' }}
        then {{ gpu_h('coalesce(joined.' ~ name ~ '_mgpu_s, 0)') }}
    end as {{ name }}_gpu_h,
    {% endfor -%}
    joined.main_job_id
from joined
inner join days
    on joined.cluster_id = days.cluster_id
        and joined.dt = days.dt
left join accounted
    on joined.cluster_id = accounted.cluster_id
left join machines
    on joined.cluster_id = machines.cluster_id
        and joined.machine_id = machines.machine_id
