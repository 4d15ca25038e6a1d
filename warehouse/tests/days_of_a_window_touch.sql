-- Days of a cluster follow each other without gap or overlap.
with

followed as (
    select
        cluster_id,
        dt,
        ends_at,
        lead(starts_at) over (partition by cluster_id order by dt) as next_starts_at
    from {{ ref('silver_days') }}
)

select
    cluster_id,
    dt,
    ends_at,
    next_starts_at
from followed
where next_starts_at is not null and next_starts_at != ends_at
