with

allocations as (
    select * from {{ ref('int_plain__allocation') }}
),

-- One row per device that is named, in the order in which they are.
placed as (
    select
        *,
        {{ each_number(1, 'greatest(' ~ list_size('indices') ~ ', ' ~ list_size('uuids') ~ ')') }} as place
    from allocations
)

select
    cluster_id,
    job_id,
    machine_attempt_id as task_id,
    machine_attempt_id as attempt_id,
    machine_id,
    {{ list_place('uuids', 'place') }} as gpu_uuid,
    {{ list_place('indices', 'place') }} as gpu_index,
    mig_id,
    {{ row_text([
        'job_id', 'machine_id', 'started_at', 'ended_at', 'attempt_id', 'status', 'gpu_count', 'gpu_indices',
        'gpu_uuids', 'mig_id', 'gpu_share_ratio',
    ]) }} as row_text,
    source,
    landing_no,
    landing_id,
    source_row
from placed
