with

placements as (
    select
        *,
        cast(null as timestamp) as eligible
    from {{ source('bronze', 'bronze_slurm_placement') }}
    where jobid not like '%[%' and node is not null
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

-- Slurm numbers MIG devices of a node in one row, over all its GPUs: of which GPU one is part, it does not say.
select
    landings.cluster_id,
    {{ slurm_job_id('placements') }} as job_id,
    'job' as task_id,
    {{ slurm_on_node(slurm_attempt_id('placements'), 'coalesce(placements.node_place, 1)') }} as attempt_id,
    placements.node as machine_id,
    cast(null as varchar) as gpu_uuid,
    cast(placements.gpu_index as integer) as gpu_index,
    cast(null as varchar) as mig_id,
    {{ row_text([
        'placements.jobid', 'placements.submit', 'placements.node', 'placements.gres', 'placements.gpu_index',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    placements.landing_id,
    placements.source_row
from placements
inner join landings
    on placements.landing_id = landings.landing_id
where placements.gpu_index is not null and lower(placements.gres) not like '%g.%gb%'
