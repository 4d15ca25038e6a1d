with

series as (
    select * from {{ ref('int_prometheus__gpu_series') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- A GPU's series names the pod that holds it. What Slurm's jobs hold is Slurm's to say, not that of a label.
held as (
    select
        landing_id,
        pod_id,
        machine_id,
        gpu_uuid,
        gpu_index,
        mig_id,
        min(first_row) as source_row
    from series
    where pod_id is not null and hpc_job_id is null
    group by
        landing_id,
        pod_id,
        machine_id,
        gpu_uuid,
        gpu_index,
        mig_id
)

select
    landings.cluster_id,
    held.pod_id as job_id,
    'pod' as task_id,
    held.pod_id as attempt_id,
    held.machine_id,
    held.gpu_uuid,
    held.gpu_index,
    held.mig_id,
    {{ row_text(['held.pod_id', 'held.machine_id', 'held.gpu_uuid', 'held.gpu_index', 'held.mig_id']) }} as row_text,
    landings.source,
    landings.landing_no,
    held.landing_id,
    held.source_row
from held
inner join landings
    on held.landing_id = landings.landing_id
