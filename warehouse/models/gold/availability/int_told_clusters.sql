{{ config(materialized='ephemeral') }}

-- Which sources tell of each cluster.
select
    cluster_id,
    source
from {{ source('meta', 'landings') }}
where cluster_id is not null and source is not null
union
select
    cluster_id,
    source
from {{ source('meta', 'clusters') }}
