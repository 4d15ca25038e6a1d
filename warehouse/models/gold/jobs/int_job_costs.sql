{{ config(materialized='ephemeral') }}

-- What jobs cost: null as soon as one of a job's days has no price, and then the reason.
select
    cluster_id,
    job_id,
    case when count(cost_usd) = count(*) then cast(sum(cost_usd) as decimal(18, 2)) end as cost_usd,
    min(price_reason) as cost_reason
from {{ ref('gold_cost_daily') }}
where not is_idle and {{ of_due_jobs_on_their_days() }}
group by cluster_id, job_id
