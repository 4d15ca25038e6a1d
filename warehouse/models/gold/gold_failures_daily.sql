{{ config(materialized='view') }}

with

cohorts as (
    select * from {{ ref('silver_job_cohorts') }}
    where dt is not null
),

{{ failure_figures('cohorts', ['cluster_id', 'dt', 'grouped_by', 'value']) }}

select
    cluster_id,
    dt,
    grouped_by,
    value,
    {{ failure_columns() }}
from failure_figures
