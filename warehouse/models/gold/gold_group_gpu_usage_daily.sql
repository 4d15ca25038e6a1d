{{ config(materialized='view') }}

with

held as (
    select * from {{ ref('silver_owner_days') }}
),

cohorts as (
    select * from {{ ref('silver_job_cohorts') }}
),

{{ owner_days('held', 'cohorts', ['group_id', 'queue']) }}

select
    cluster_id,
    dt,
    group_id,
    queue,
    {{ owner_figures() }},
    case when coalesce(group_id, queue) is not null and allocated_mgpu_s is not null then
        row_number() over (
            partition by cluster_id, dt, coalesce(group_id, queue) is not null
            order by allocated_mgpu_s desc, group_id asc, queue asc
        )
    end as rank
from owner_days
