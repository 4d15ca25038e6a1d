{{ config(materialized='table') }}

with

jobs as (
    select * from {{ ref('silver_jobs') }}
)

select
    cluster_id,
    job_status,
    count(*) as jobs,
    cast(sum(count(*)) over (partition by cluster_id) as bigint) as all_jobs
from jobs
group by
    cluster_id,
    job_status
