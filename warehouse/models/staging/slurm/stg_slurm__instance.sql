with

attempts as (
    select * from {{ ref('int_slurm__attempt') }}
),

on_nodes as (
    select
        *,
        {{ each_number(1, 'cast(greatest(coalesce(nodes_named, 0), 1) as bigint)') }} as place
    from attempts
)

-- One row per attempt and node. A line of a delivery tells of all nodes of an attempt, so rows of the second and further
-- ones count on from it by 1,000,000,000,000 each: no two rows share a number.
select
    cluster_id,
    job_id,
    'job' as task_id,
    {{ slurm_on_node('jobid', 'place') }} as instance_id,
    {{ slurm_on_node('attempt_id', 'place') }} as attempt_id,
    {{ text_part('nodes', ',', 'place') }} as machine_id,
    status_source,
    {{ seconds_between("timestamp '1970-01-01'", 'started_at') }} as start_s,
    started_at,
    case when started_at is not null then ended_at end as ended_at,
    {{ row_text([
        'jobid', 'place', 'nodes', 'state', 'submit', 'started_at', 'ended_at', 'elapsedraw', 'alloctres',
    ]) }} as row_text,
    source,
    landing_no,
    landing_id,
    source_row + (place - 1) * 1000000000000 as source_row
from on_nodes
