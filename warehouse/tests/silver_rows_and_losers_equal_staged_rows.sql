-- No row is lost or doubled between bronze and silver: rows in silver + rows that lost to another of their key = rows staged.
-- Windows without an end are no window and stay in bronze.
with

staged as (
    select 'job' as entity, count(*) as staged_rows from ({{ union_staging('job', ['job_id']) }}) as jobs
    union all
    select 'machine' as entity, count(*) as staged_rows from ({{ union_staging('machine', ['machine_id']) }}) as machines
    union all
    select 'machine_window' as entity, count(ended_at) as staged_rows
    from ({{ union_staging('machine_window', ['ended_at']) }}) as windows
),

silver as (
    select 'job' as entity, count(*) as silver_rows from {{ ref('silver_jobs') }}
    union all
    select 'machine' as entity, count(*) as silver_rows from {{ ref('silver_machines') }}
    union all
    select 'machine_window' as entity, count(*) as silver_rows from {{ ref('silver_gpu_timeseries') }}
),

lost as (
    select entity, count(*) as losers
    from {{ ref('conflict_rows') }}
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
