{{ config(materialized='view') }}

with

used as (
    select * from {{ ref('silver_machine_hours') }}
),

held as (
    select * from {{ ref('silver_allocation_hours') }}
    where machine_id is not null
),

machine_days as (
    select * from {{ ref('silver_machine_days') }}
),

machines as (
    select * from {{ ref('silver_machines') }}
),

days as (
    select * from {{ ref('silver_days') }}
),

joined as (
    select
        coalesce(used.cluster_id, held.cluster_id) as cluster_id,
        coalesce(used.dt, held.dt) as dt,
        coalesce(used.machine_id, held.machine_id) as machine_id,
        coalesce(used.hour_start_at, held.hour_start_at) as hour_start_at,
        used.gpu_util_pct,
        used.gpu_covered_s,
        used.cpu_util_pct,
        used.load_1m,
        used.net_rx_bytes_per_s,
        held.allocated_mgpu_s,
        held.active_mgpu_s,
        held.idle_held_mgpu_s,
        held.unknown_mgpu_s,
        held.zero_util_mgpu_s,
        held.over_allocated_mgpu_s
    from used
    full outer join held
        on used.cluster_id = held.cluster_id
            and used.dt = held.dt
            and used.machine_id = held.machine_id
            and used.hour_start_at = held.hour_start_at
),

accounted as (
    {{ accounted_clusters() }}
),

sized as (
    select
        joined.*,
        least(3600, {{ seconds_between('joined.hour_start_at', 'days.ends_at') }}) as hour_s,
        accounted.cluster_id is not null as is_accounted,
        accounted.is_measured
    from joined
    inner join days
        on joined.cluster_id = days.cluster_id
            and joined.dt = days.dt
    left join accounted
        on joined.cluster_id = accounted.cluster_id
)

select
    sized.cluster_id,
    sized.dt,
    sized.hour_start_at,
    sized.machine_id,
    machines.pool,
    machines.gpu_count,
    cast(sized.gpu_util_pct as double) as gpu_util_pct,
    coalesce(sized.gpu_covered_s, 0) / sized.hour_s as coverage_ratio,
    cast(sized.cpu_util_pct as double) as cpu_util_pct,
    cast(sized.load_1m as double) as load_1m,
    cast(sized.net_rx_bytes_per_s as double) as net_rx_bytes_per_s,
    case when sized.is_accounted then coalesce(sized.allocated_mgpu_s, 0) / (sized.hour_s * 1000) end as gpus_allocated,
    {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'zero_util', 'over_allocated'] -%}
    case when {{ 'sized.is_measured' if name in use_amounts() else 'sized.is_accounted' }}
        then {{ gpu_h('coalesce(sized.' ~ name ~ '_mgpu_s, 0)') }}
    end as {{ name }}_gpu_h,
    {% endfor -%}
    machine_days.main_job_id
from sized
left join machines
    on sized.cluster_id = machines.cluster_id
        and sized.machine_id = machines.machine_id
left join machine_days
    on sized.cluster_id = machine_days.cluster_id
        and sized.dt = machine_days.dt
        and sized.machine_id = machine_days.machine_id
