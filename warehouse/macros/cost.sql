{#
    What GPUs cost: a pool's bill of a day is its capacity times the price of the day, shared out in whole cents.
    Everything is in whole numbers: milli-GPU-seconds, millionths of a dollar, cents.
#}

{# The capacity of each pool and day: GPUs × the seconds for which each machine is valid. Machines alike count together. #}
{% macro pool_capacities(days, machines) -%}
    select
        days.cluster_id,
        days.dt,
        kinds.pool,
        cast(sum(kinds.gpu_count * 1000 * {{ valid_seconds('days.starts_at', 'days.ends_at') }}) as bigint) as capacity_mgpu_s
    from {{ days }} as days
    inner join (
        select
            cluster_id,
            pool,
            valid_from,
            valid_to,
            sum(gpu_count) as gpu_count
        from {{ machines }}
        where pool is not null
        group by cluster_id, pool, valid_from, valid_to
    ) as kinds
        on days.cluster_id = kinds.cluster_id
    where {{ valid_seconds('days.starts_at', 'days.ends_at') }} > 0
    group by days.cluster_id, days.dt, kinds.pool
{%- endmacro %}

{# Each pool and day: its capacity (none where no machine is described), what is held of it, and the rest. #}
{% macro pool_rests(capacities, machine_days) -%}
    select
        coalesce(capacities.cluster_id, held.cluster_id) as cluster_id,
        coalesce(capacities.dt, held.dt) as dt,
        coalesce(capacities.pool, held.pool) as pool,
        capacities.capacity_mgpu_s,
        coalesce(held.allocated_mgpu_s, 0) as allocated_mgpu_s,
        greatest(
            coalesce(capacities.capacity_mgpu_s, 0) + coalesce(held.over_allocated_mgpu_s, 0)
            - coalesce(held.allocated_mgpu_s, 0), 0
        ) as unallocated_mgpu_s
    from {{ capacities }} as capacities
    full outer join (
        select
            cluster_id,
            dt,
            pool,
            cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
            cast(sum(over_allocated_mgpu_s) as bigint) as over_allocated_mgpu_s
        from {{ machine_days }}
        group by cluster_id, dt, pool
    ) as held
        on capacities.cluster_id = held.cluster_id
            and capacities.dt = held.dt
            and capacities.pool = held.pool
{%- endmacro %}

{#
    The price of each pool and day, and why there is none: a day without a row, or with several, has no price. In a cluster
    whose days are not calendar days only rows without dates count. Where a cluster has rows of its own for a pool, those of
    any cluster are not for it: a gap stays a gap.
#}
{% macro prices_of_days(pool_days, clusters, price_book) -%}
    select
        cluster_id,
        dt,
        pool,
        count(case when is_usable then 1 end) as rows_usable,
        count(case when is_valid then 1 end) as rows_valid,
        max(case when is_valid then usd_per_gpu_h end) as usd_per_gpu_h,
        max(case when is_valid then label end) as label
    from (
        select
            *,
            is_usable and is_own = max(case when is_usable then is_own end) over (partition by cluster_id, dt, pool)
            and dt >= coalesce(valid_from, dt)
            and (valid_to is null or dt < valid_to) as is_valid
        from (
            select
                pool_days.cluster_id,
                pool_days.dt,
                pool_days.pool,
                book.valid_from,
                book.valid_to,
                book.usd_per_gpu_h,
                book.label,
                case when nullif(book.cluster_id, '') is not null then 1 else 0 end as is_own,
                clusters.time_basis = 'real' or (book.valid_from is null and book.valid_to is null) as is_usable
            from {{ pool_days }} as pool_days
            inner join {{ clusters }} as clusters
                on pool_days.cluster_id = clusters.cluster_id
            inner join {{ price_book }} as book
                on pool_days.pool = book.pool
            where
                coalesce(nullif(book.cluster_id, ''), pool_days.cluster_id) = pool_days.cluster_id
                and book.usd_per_gpu_h >= 0
        ) as of_pool
    ) as of_day
    group by cluster_id, dt, pool
{%- endmacro %}

{% macro price_reason(is_accounted, capacity, rows_found, rows_usable, rows_valid) -%}
    case
        when not {{ is_accounted }} then 'what jobs held is not known in this cluster, so its bills cannot be shared out'
        when {{ capacity }} is null then 'no machine of this pool is described, so there is no capacity to bill'
        when {{ rows_valid }} = 1 then null
        when {{ rows_valid }} > 1 then 'the price book has ' || cast({{ rows_valid }} as varchar) || ' prices for this day'
        when {{ rows_usable }} > 0 then 'the price book has no price for this day'
        when {{ rows_found }} is not null
            then 'the price book has only dated prices for this pool, and days of this cluster are not calendar days'
        else 'the price book has no price for this pool'
    end
{%- endmacro %}

{# Whole cents of milli-GPU-seconds at a price: half a cent counts as one. #}
{% macro bill_cents(mgpu_s, usd_per_gpu_h) -%}
    (2 * {{ wide_integer(mgpu_s) }} * cast({{ usd_per_gpu_h }} * 1000000 as bigint) + 36000000000) // 72000000000
{%- endmacro %}

{# What a bill is shared out by: what each job held, and the rest of the capacity that nobody did. #}
{% macro bill_weights(bills, held) -%}
    select
        bills.bill_no,
        case when bills.is_accounted then {{ bill_cents('bills.capacity_mgpu_s', 'bills.usd_per_gpu_h') }} end as bill_cents,
        bills.allocated_mgpu_s + bills.unallocated_mgpu_s as total_weight,
        held.allocated_mgpu_s as weight,
        held.job_id,
        false as is_idle
    from {{ held }} as held
    inner join {{ bills }} as bills
        on held.cluster_id = bills.cluster_id
            and held.dt = bills.dt
            and held.pool = bills.pool
    union all
    select
        bill_no,
        case when is_accounted then {{ bill_cents('capacity_mgpu_s', 'usd_per_gpu_h') }} end as bill_cents,
        allocated_mgpu_s + unallocated_mgpu_s as total_weight,
        case when is_accounted then unallocated_mgpu_s end as weight,
        cast(null as varchar) as job_id,
        true as is_idle
    from {{ bills }}
    where capacity_mgpu_s is not null
{%- endmacro %}

{#
    Whole cents of a bill by weight: each gets its share rounded down, and the cents that are left go one each to the largest
    remainders, of equals to the first by name. `weights` has bill_no, bill_cents, total_weight, weight, job_id and is_idle.
    Σ remainders is a whole multiple of the total weight: so many cents are left.
#}
{% macro shared_cents(weights) -%}
    select
        *,
        whole_cents + case when place <= all_remainders // total_weight then 1 else 0 end as cents
    from (
        select
            *,
            row_number() over (partition by bill_no order by remainder desc, is_idle asc, job_id asc) as place,
            sum(remainder) over (
                partition by bill_no order by remainder desc, is_idle asc, job_id asc
                rows between unbounded preceding and unbounded following
            ) as all_remainders
        from (
            select
                *,
                bill_cents * weight // nullif(total_weight, 0) as whole_cents,
                bill_cents * weight % nullif(total_weight, 0) as remainder
            from {{ weights }}
        ) as rounded_down
    ) as ranked
{%- endmacro %}

{# Clusters that get the first rows of a table: they say of every day and job what had not been recorded. #}
{% macro clusters_with_news() -%}
    select cluster_id
    from (
        select
            cluster_id,
            table_name,
            count(case when {{ pending_only() }} then 1 end) as pending,
            count(*) as landed
        from {{ source('meta', 'landings') }}
        where rows_kept > 0 and cluster_id is not null
        group by cluster_id, table_name
    ) as landed_tables
    where pending = landed
{%- endmacro %}

{# The days whose bills are shared out anew. #}
{% macro delete_due_bills() -%}
    {%- set touched = touched_days_only('allocation') -%}
    {%- set news = clusters_with_news() -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where ({{ touched }}) or cluster_id in ({{ news }})
    {%- endif %}
{%- endmacro %}

{# Rows of certain days: the first condition is on the partition, so that files are skipped by it. #}
{% macro of_days(days) -%}
    dt in (select dt from {{ days }}) and (cluster_id, dt) in (select (cluster_id, dt) from {{ days }})
{%- endmacro %}

{# Jobs whose row of gold_jobs is to be built: a pending landing names them, or a day of theirs is shared out anew. #}
{% macro due_jobs_only() -%}
    {%- set due_jobs = ref('due_jobs') -%}
    {% if is_incremental() -%}
    job_id in (select job_id from {{ due_jobs }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ due_jobs }})
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}

{#
    The days on which due jobs can have held anything, read when the model is compiled: constants let files be skipped. A job that
    the job table lacks may have held something on any day.
#}
{% macro within_due_days() -%}
    {%- set due_jobs = ref('due_jobs') -%}
    {%- if is_incremental() and execute -%}
        {%- set bounds = run_query(
            'select min(first_seen_at), max(last_seen_at), count(case when not is_known then 1 end) from ' ~ due_jobs
        ).rows[0] -%}
        {%- set day = modules.datetime.timedelta(days=1) -%}
        {%- if bounds[2] -%}
    true
        {%- elif bounds[0] is none -%}
    false
        {%- else -%}
    dt between date '{{ (bounds[0] - day).date() }}' and date '{{ (bounds[1] + day).date() }}'
        {%- endif -%}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{% macro delete_due_jobs() -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ due_jobs_only() }}
    {%- endif %}
{%- endmacro %}
