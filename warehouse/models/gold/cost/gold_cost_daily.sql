{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

bills as (
    select
        *,
        {{ wide_integer('allocated_mgpu_s + coalesce(unallocated_mgpu_s, 0)') }} as total_mgpu_s
    from {{ ref('int_pool_bills') }}
    where {{ of_due_days() }}
),

held as (
    select * from {{ ref('silver_job_days') }}
    where {{ of_due_days() }}
),

-- What a bill is shared out by: what each job held, and the rest of the capacity that nobody did.
weights as (
    select
        bills.*,
        held.job_id,
        false as is_idle,
        held.allocated_mgpu_s as weight
    from held
    inner join bills
        on held.cluster_id = bills.cluster_id
            and held.dt = bills.dt
            and held.pool = bills.pool
    union all
    select
        *,
        cast(null as varchar) as job_id,
        true as is_idle,
        case when is_accounted then unallocated_mgpu_s end as weight
    from bills
    where billed_mgpu_s is not null
),

rounded_down as (
    select
        *,
        {{ wide_integer('bill_cents') }} * weight // nullif(total_mgpu_s, 0) as whole_cents,
        {{ wide_integer('bill_cents') }} * weight % nullif(total_mgpu_s, 0) as remainder
    from weights
),

-- Each gets its share rounded down, and the cents that are left go one each to the largest remainders, of equals to the
-- first by name. Σ remainders is a whole multiple of the total: so many cents are left.
ranked as (
    select
        *,
        sum(remainder) over (partition by cluster_id, dt, pool) // total_mgpu_s as cents_left,
        row_number() over (
            partition by cluster_id, dt, pool
            order by remainder desc, is_idle asc, job_id asc
        ) as place
    from rounded_down
)

select
    cluster_id,
    dt,
    pool,
    job_id,
    is_idle,
    {{ gpu_h('case when is_idle then 0 else weight end') }} as allocated_gpu_h,
    {{ gpu_h('case when is_idle then weight when has_unallocated then 0 end') }} as unallocated_gpu_h,
    usd_per_gpu_h,
    cast(
        cast(whole_cents + case when place <= cents_left then 1 else 0 end as bigint) * cast(0.01 as decimal(18, 2))
        as decimal(18, 2)
    ) as cost_usd,
    price_label,
    price_reason
from ranked
-- The days of a job lie together: whoever asks for them reads a part of each file.
order by
    cluster_id,
    job_id,
    dt,
    pool
