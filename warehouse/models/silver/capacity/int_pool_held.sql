{{ config(materialized='ephemeral') }}

-- What machines held, summed over those of a pool.
select
    cluster_id,
    dt,
    pool,
    {%- for amount in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util', 'failed_active'] %}
    cast(sum({{ amount }}_mgpu_s) as bigint) as {{ amount }}_mgpu_s,
    {%- endfor %}
    cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
from {{ ref('silver_machine_days') }}
group by cluster_id, dt, pool
