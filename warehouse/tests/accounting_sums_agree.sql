-- Σ parts = Σ jobs = Σ machines, for every amount of every cluster, day and pool, to the last digit.
with

totals as (
    {% for table in ['silver_allocation_days', 'silver_job_days', 'silver_machine_days'] -%}
    select
        '{{ table }}' as table_name,
        cluster_id,
        dt,
        pool,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(active_mgpu_s) as bigint) as active_mgpu_s,
        cast(sum(idle_held_mgpu_s) as bigint) as idle_held_mgpu_s,
        cast(sum(unknown_mgpu_s) as bigint) as unknown_mgpu_s,
        cast(sum(over_use_mgpu_s) as bigint) as over_use_mgpu_s,
        cast(sum(zero_util_mgpu_s) as bigint) as zero_util_mgpu_s,
        {% if table == 'silver_allocation_days' %}count(*){% else %}cast(sum(parts) as bigint){% endif %} as parts
    from {{ ref(table) }}
    where {{ of_tested_days() }}
    group by cluster_id, dt, pool
    {% if not loop.last %}union all
    {% endif -%}
    {%- endfor %}
)

select
    cluster_id,
    dt,
    pool,
    count(*) as tables,
    {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util'] -%}
    min({{ name }}_mgpu_s) as least_{{ name }}_mgpu_s,
    max({{ name }}_mgpu_s) as most_{{ name }}_mgpu_s,
    {% endfor -%}
    min(parts) as least_parts,
    max(parts) as most_parts
from totals
group by cluster_id, dt, pool
having
    count(*) != 3
    or min(parts) != max(parts)
    {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util'] -%}
    or min({{ name }}_mgpu_s) != max({{ name }}_mgpu_s)
    {% endfor -%}
