{{ config(materialized='ephemeral') }}

-- Kaplan and Meier's estimate has those who never started in it: who gave up after an hour says that waits beyond that
-- hour are not seldom. At each wait the share S of those who have not started falls by the share of those still waiting
-- that started then; who gave up at that second was still waiting. A quantile is where S first reaches 1 − q.
with

moments as (
    select
        cluster_id,
        dt,
        grouped_by,
        value,
        coalesce(wait_s, censored_s) as waited_s,
        count(*) as jobs,
        count(wait_s) as starts
    from {{ ref('int_observed_waits') }}
    where coalesce(wait_s, censored_s) is not null
    group by cluster_id, dt, grouped_by, value, coalesce(wait_s, censored_s)
),

at_risk as (
    select
        *,
        sum(jobs) over (
            partition by cluster_id, dt, grouped_by, value
            order by waited_s desc
            rows between unbounded preceding and current row
        ) as still_waiting
    from moments
),

survival as (
    select
        *,
        {{ product_of('cast(still_waiting - starts as double) / still_waiting') }} over (
            partition by cluster_id, dt, grouped_by, value
            order by waited_s asc
            rows between unbounded preceding and current row
        ) as not_started_ratio
    from at_risk
)

select
    cluster_id,
    dt,
    grouped_by,
    value,
    min(case when starts > 0 and not_started_ratio <= {{ 1 - 0.5 }} + 1e-9 then waited_s end) as km_p50_s,
    min(case when starts > 0 and not_started_ratio <= {{ 1 - 0.9 }} + 1e-9 then waited_s end) as km_p90_s,
    min(case when starts > 0 and not_started_ratio <= {{ 1 - 0.99 }} + 1e-9 then waited_s end) as km_p99_s
from survival
group by cluster_id, dt, grouped_by, value
