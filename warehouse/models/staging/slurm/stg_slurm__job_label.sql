with

attempts as (
    select * from {{ ref('int_slurm__attempt') }}
)

-- What exporters call a job: Slurm's raw id. An array's jobs have one of their own each, which only JobIDRaw tells.
select distinct
    cluster_id,
    job_id,
    coalesce(jobidraw, case when jobid not like '%\_%' escape '\' and jobid not like '%+%' then jobid end) as label,
    source,
    landing_id,
    landing_no
from attempts
