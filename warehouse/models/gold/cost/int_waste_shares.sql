{{ config(materialized='ephemeral') }}

-- What of a pool's bill is not for what nobody held, shared out by what became of the rest: cents rounded down, and what
-- that leaves.
with

bills as (
    select * from {{ ref('int_pool_bills') }}
    where {{ of_due_days() }}
),

pool_days as (
    select
        *,
        active_mgpu_s - failed_active_mgpu_s as productive_mgpu_s
    from {{ ref('silver_pool_days') }}
    where {{ of_due_days() }}
),

idle as (
    select * from {{ ref('gold_cost_daily') }}
    where is_idle and {{ of_due_days() }}
),

parts as (
    {%- for part in ['unknown', 'idle_held', 'failed_active', 'productive'] %}
    select
        cluster_id,
        dt,
        pool,
        allocated_mgpu_s,
        '{{ part }}' as part,
        {{ part }}_mgpu_s as part_mgpu_s
    from pool_days
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

held_bills as (
    select
        parts.*,
        {{ wide_integer('bills.bill_cents - round(idle.cost_usd * 100)') }} * parts.part_mgpu_s as part_cents
    from parts
    inner join bills
        on parts.cluster_id = bills.cluster_id
            and parts.dt = bills.dt
            and parts.pool = bills.pool
    inner join idle
        on parts.cluster_id = idle.cluster_id
            and parts.dt = idle.dt
            and parts.pool = idle.pool
)

select
    cluster_id,
    dt,
    pool,
    part,
    allocated_mgpu_s,
    coalesce(part_cents // nullif(allocated_mgpu_s, 0), 0 * part_cents) as whole_cents,
    coalesce(part_cents % nullif(allocated_mgpu_s, 0), 0 * part_cents) as remainder
from held_bills
