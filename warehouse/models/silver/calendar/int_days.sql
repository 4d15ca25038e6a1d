{{ config(materialized='ephemeral') }}

-- Days and clusters by number, so that one cluster's days follow each other; borders in whole seconds since 1970.
select
    cluster_id,
    dt,
    starts_at,
    ends_at,
    day_s,
    {{ utc_to_epoch('starts_at') }} as starts_s,
    {{ utc_to_epoch('ends_at') }} as ends_s,
    dense_rank() over (order by cluster_id) as cluster_no,
    cast(row_number() over (order by cluster_id, dt) as integer) as day_no
from {{ ref('silver_days') }}
