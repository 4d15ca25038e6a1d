{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['dt'],
    pre_hook="{{ delete_touched_days('allocation') }}",
) }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
    where {{ touched_days_only('allocation') }}
)

select
    cluster_id,
    dt,
    job_id,
    pool,
    {{ amount_sums() }},
    count(*) as parts
from parts
group by cluster_id, dt, job_id, pool
