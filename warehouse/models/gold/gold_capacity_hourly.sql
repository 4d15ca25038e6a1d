{{ config(materialized='view') }}

with

held as (
    select
        cluster_id,
        dt,
        hour_no,
        pool,
        {% for name in amounts() if name != 'over_use' -%}
        cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s,
        {% endfor -%}
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_allocation_hours') }}
    group by cluster_id, dt, hour_no, pool
),

{{ pool_days('held') }},

accounted as (
    {{ accounted_clusters() }}
),

pool_hours as (
    select
        cluster_id,
        dt,
        starts_at,
        ends_at,
        day_s,
        pool,
        gpu_model,
        {{ each_number(0, '(day_s - 1) // 3600') }} as hour_no
    from pool_days
),

hours as (
    select
        *,
        starts_at + hour_no * interval 1 hour as hour_start_at,
        least(starts_at + (hour_no + 1) * interval 1 hour, ends_at) as hour_end_at
    from pool_hours
),

capacity_hours as (
    select
        hours.cluster_id,
        hours.pool,
        hours.hour_start_at,
        cast(sum(machine_groups.gpus * {{ valid_seconds('hours.hour_start_at', 'hours.hour_end_at') }}) as bigint) * 1000
            as capacity_mgpu_s
    from hours
    inner join machine_groups
        on hours.cluster_id = machine_groups.cluster_id
            and hours.pool = machine_groups.pool
    group by hours.cluster_id, hours.pool, hours.hour_start_at
),

joined as (
    select
        hours.*,
        accounted.is_measured,
        case when hours.pool = 'unknown machine' then 0 else capacity_hours.capacity_mgpu_s end as capacity_mgpu_s,
        {% for name in amounts() if name != 'over_use' -%}
        case when accounted.cluster_id is not null then coalesce(held.{{ name }}_mgpu_s, 0) end as {{ name }}_mgpu_s,
        {% endfor -%}
        case
            when
                accounted.cluster_id is not null
                and (hours.pool = 'unknown machine' or capacity_hours.capacity_mgpu_s is not null)
                then coalesce(held.over_allocated_mgpu_s, 0)
        end as over_allocated_mgpu_s
    from hours
    left join accounted
        on hours.cluster_id = accounted.cluster_id
    left join capacity_hours
        on hours.cluster_id = capacity_hours.cluster_id
            and hours.pool = capacity_hours.pool
            and hours.hour_start_at = capacity_hours.hour_start_at
    left join held
        on hours.cluster_id = held.cluster_id
            and hours.dt = held.dt
            and hours.hour_no = held.hour_no
            and hours.pool = held.pool
)

select
    cluster_id,
    dt,
    hour_start_at,
    pool,
    gpu_model,
    {{ gpu_h('capacity_mgpu_s') }} as capacity_gpu_h,
    {{ gpu_h('over_allocated_mgpu_s') }} as over_allocated_gpu_h,
    cast(null as double) as down_gpu_h,
    {{ gpu_h('(capacity_mgpu_s + over_allocated_mgpu_s - allocated_mgpu_s)') }} as unallocated_gpu_h,
    {{ published_gpu_h('allocated') }},
    {{ published_gpu_h('active') }},
    {{ published_gpu_h('idle_held') }},
    {{ published_gpu_h('unknown') }},
    {{ published_gpu_h('zero_util') }},
    allocated_mgpu_s / cast(nullif(capacity_mgpu_s, 0) as double) as allocated_ratio,
    {{ efficiency() }}
from joined
