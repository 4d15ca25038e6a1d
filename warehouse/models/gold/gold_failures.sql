{{ config(materialized='view') }}

with

cohorts as (
    select * from {{ ref('silver_job_cohorts') }}
),

{{ failure_figures('cohorts', ['cluster_id', 'grouped_by', 'value']) }}

select
    cluster_id,
    grouped_by,
    value,
    jobs_without_submission,
    {{ failure_columns() }}
from failure_figures
