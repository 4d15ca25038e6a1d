-- What attempts without both times can have held at the most was free: but on machines that nobody described, of which no
-- capacity is known.
with

windows as (
    select * from {{ ref('gold_waste_window') }}
),

nowhere as (
    select distinct cluster_id
    from {{ ref('silver_unbounded_spans') }}
    where pool = 'unknown machine'
)

select
    windows.cluster_id,
    windows.failed_unbounded_gpu_h_high,
    windows.unallocated_gpu_h
from windows
left join nowhere
    on windows.cluster_id = nowhere.cluster_id
where nowhere.cluster_id is null and windows.failed_unbounded_gpu_h_high > windows.unallocated_gpu_h + 1e-6
