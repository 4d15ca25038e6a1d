-- Nobody's GPU-hours are lost or doubled on the way from jobs to their owners, and every job is in one cohort.
with

held as (
    select
        cluster_id,
        dt,
        sum(allocated_mgpu_s) as amount
    from {{ ref('silver_job_days') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt
),

owned as (
    select
        cluster_id,
        dt,
        sum(allocated_mgpu_s) as amount
    from {{ ref('silver_owner_days') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt
),

submitted as (
    select
        cluster_id,
        submitted_day as dt,
        count(*) as amount
    from {{ ref('silver_jobs') }}
    where {{ of_tested_days(day='submitted_day') }}
    group by cluster_id, submitted_day
),

counted as (
    select
        cluster_id,
        dt,
        sum(jobs) as amount
    from {{ ref('silver_job_cohorts') }}
    where {{ of_tested_days() }}
    group by cluster_id, dt
),

compared as (
    select
'mGPU-s' as unit,
cluster_id,
dt,
amount,
-1 as side
from held
    union all
    select
'mGPU-s' as unit,
cluster_id,
dt,
amount,
1 as side
from owned
    union all
    select
'jobs' as unit,
cluster_id,
dt,
amount,
-1 as side
from submitted
    union all
    select
'jobs' as unit,
cluster_id,
dt,
amount,
1 as side
from counted
)

select
    unit,
    cluster_id,
    dt,
    sum(side * amount) as too_much
from compared
group by unit, cluster_id, dt
having sum(side * amount) != 0
