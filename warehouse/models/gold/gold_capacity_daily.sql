{{ config(materialized='view') }}

with

held as (
    select
        cluster_id,
        dt,
        pool,
        {{ amount_sums() }},
        cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
    from {{ ref('silver_machine_days') }}
    group by cluster_id, dt, pool
),

{{ pool_days('held') }},

accounted as (
    {{ accounted_clusters() }}
),

open_spans as (
    select
        *,
        known_times = 'start only' and instance_status = 'running' as is_running
    from {{ ref('silver_unbounded_spans') }}
),

unbounded as (
    select
        cluster_id,
        dt,
        pool,
        cast(sum(spans) as bigint) as spans,
        cast(sum(case when is_running then held_mgpu end) as bigint) as running_mgpu,
        cast(sum(case when is_running then held_mgpu_start_s end) as bigint) as running_mgpu_start_s
    from open_spans
    group by cluster_id, dt, pool
),

joined as (
    select
        pool_days.*,
        accounted.cluster_id is not null as is_accounted,
        accounted.is_measured,
        {% for name in amounts() -%}
        case when accounted.cluster_id is not null then coalesce(held.{{ name }}_mgpu_s, 0) end as {{ name }}_mgpu_s,
        {% endfor -%}
        case
            when accounted.cluster_id is not null and pool_days.capacity_mgpu_s is not null
                then coalesce(held.over_allocated_mgpu_s, 0)
        end as over_allocated_mgpu_s,
        case when accounted.cluster_id is not null then coalesce(unbounded.spans, 0) end as unbounded_spans,
        coalesce(unbounded.running_mgpu, 0) as running_mgpu,
        coalesce(unbounded.running_mgpu_start_s, 0) as running_mgpu_start_s,
        coalesce(
            sum(unbounded.running_mgpu) over (
                partition by pool_days.cluster_id, pool_days.pool order by pool_days.dt
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as running_before_mgpu
    from pool_days
    left join accounted
        on pool_days.cluster_id = accounted.cluster_id
    left join held
        on pool_days.cluster_id = held.cluster_id
            and pool_days.dt = held.dt
            and pool_days.pool = held.pool
    left join unbounded
        on pool_days.cluster_id = unbounded.cluster_id
            and pool_days.dt = unbounded.dt
            and pool_days.pool = unbounded.pool
)

select
    cluster_id,
    dt,
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
    {{ published_gpu_h('over_use') }},
    allocated_mgpu_s / cast(nullif(capacity_mgpu_s, 0) as double) as allocated_ratio,
    {{ efficiency() }},
    cast(unbounded_spans as bigint) as unbounded_spans,
    case when is_accounted then {{ gpu_h('(
        running_before_mgpu * day_s + running_mgpu * ' ~ utc_to_epoch('ends_at') ~ ' - running_mgpu_start_s
    )') }} end as unbounded_running_gpu_h
from joined
