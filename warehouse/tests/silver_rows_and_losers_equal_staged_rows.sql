-- No row is lost or doubled between bronze and silver: rows in silver + rows that lost to another of their key = rows
-- staged. Windows without an end are no window and stay in bronze. It counts the whole history.
{{ config(tags=['everything']) }}

with

staged as (
    select
'job' as entity,
count(*) as staged_rows
from {{ ref('int_delivered_jobs') }}
    union all
    select
'task' as entity,
count(*) as staged_rows
from {{ ref('int_delivered_tasks') }}
    union all
    select
'instance' as entity,
count(*) as staged_rows
from {{ ref('int_delivered_instances') }}
    union all
    select
'usage' as entity,
count(*) as staged_rows
from {{ ref('int_delivered_usages') }}
    union all
    select
'machine' as entity,
count(*) as staged_rows
from {{ ref('int_delivered_machines') }}
    union all
    select
'machine_window' as entity,
count(ended_at) as staged_rows
from {{ ref('int_delivered_machine_windows') }}
),

silver as (
    select
'job' as entity,
count(*) as silver_rows
from {{ ref('silver_jobs') }}
    union all
    select
'task' as entity,
count(*) as silver_rows
from {{ ref('silver_tasks') }}
    union all
    select
'instance' as entity,
count(*) as silver_rows
from {{ ref('silver_instances') }}
    union all
    select
'usage' as entity,
count(*) as silver_rows
from {{ ref('silver_usage') }}
    union all
    select
'machine' as entity,
count(*) as silver_rows
from {{ ref('silver_machines') }}
    union all
    select
'machine_window' as entity,
count(*) as silver_rows
from {{ ref('silver_gpu_timeseries') }}
),

lost as (
    select
        entity,
        sum(losers) as losers
    from {{ ref('conflicts') }}
    group by entity
)

select
    staged.entity,
    staged.staged_rows,
    silver.silver_rows,
    coalesce(lost.losers, 0) as losers
from staged
inner join silver
    on staged.entity = silver.entity
left join lost
    on staged.entity = lost.entity
where staged.staged_rows != silver.silver_rows + coalesce(lost.losers, 0)
