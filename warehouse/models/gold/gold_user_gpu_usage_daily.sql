{{ config(materialized='view') }}

with

held as (
    select * from {{ ref('silver_owner_days') }}
),

cohorts as (
    select * from {{ ref('silver_job_cohorts') }}
),

{{ owner_days('held', 'cohorts', ['user_id']) }}

select
    cluster_id,
    dt,
    user_id,
    {{ owner_figures() }},
    case when user_id is not null and allocated_mgpu_s is not null then
        row_number() over (
            partition by cluster_id, dt, user_id is not null
            order by allocated_mgpu_s desc, user_id asc
        )
    end as rank
from owner_days
