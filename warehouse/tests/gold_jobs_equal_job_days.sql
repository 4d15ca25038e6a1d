-- Σ jobs = Σ days: what jobs held, used and cost adds up to what their days did. Nothing is lost with a job that the job
-- table does not have.
with

days as (
    select
        cluster_id,
        {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util'] -%}
        sum({{ name }}_mgpu_s) / 3600000.0 as {{ name }}_gpu_h{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('silver_job_days') }}
    where {{ of_tested_jobs() }}
    group by cluster_id
),

spans as (
    select
        cluster_id,
        sum(spans) as unbounded_spans
    from {{ ref('silver_unbounded_spans') }}
    where {{ of_tested_jobs() }}
    group by cluster_id
),

priced_jobs as (
    select
        cluster_id,
        job_id,
        sum(cost_usd) as cost_usd
    from {{ ref('gold_cost_daily') }}
    where not is_idle and {{ of_tested_jobs() }}
    group by cluster_id, job_id
    having
        count(price_reason) = 0
        and (cluster_id, job_id) not in (
            select (spans.cluster_id, spans.job_id) from {{ ref('silver_unbounded_spans') }} as spans
        )
),

priced as (
    select
        cluster_id,
        sum(cost_usd) as cost_usd
    from priced_jobs
    group by cluster_id
),

jobs as (
    select
        cluster_id,
        {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util'] -%}
        sum({{ name }}_gpu_h) as {{ name }}_gpu_h,
        {% endfor -%}
        sum(unbounded_spans) as unbounded_spans,
        sum(cost_usd) as cost_usd
    from {{ ref('gold_jobs') }}
    where {{ of_tested_jobs() }}
    group by cluster_id
)

select
    coalesce(jobs.cluster_id, days.cluster_id) as cluster_id,
    jobs.allocated_gpu_h,
    days.allocated_gpu_h as allocated_gpu_h_of_days,
    jobs.unbounded_spans,
    jobs.cost_usd,
    priced.cost_usd as cost_usd_of_days
from jobs
full outer join days
    on jobs.cluster_id = days.cluster_id
left join spans
    on jobs.cluster_id = spans.cluster_id
left join priced
    on jobs.cluster_id = priced.cluster_id
where
    (jobs.cluster_id is null and days.cluster_id is not null)
    {% for name in ['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util'] -%}
    or abs(coalesce(jobs.{{ name }}_gpu_h, 0) - coalesce(days.{{ name }}_gpu_h, 0))
        > 0.000001 * greatest(coalesce(days.{{ name }}_gpu_h, 0), 1)
    {% endfor -%}
    or coalesce(jobs.unbounded_spans, 0) != coalesce(spans.unbounded_spans, 0)
    or coalesce(jobs.cost_usd, 0) != coalesce(priced.cost_usd, 0)
