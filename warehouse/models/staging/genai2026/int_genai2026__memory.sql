{{ config(materialized='ephemeral') }}

-- One sample per container and time: the later landing's, inside one landing the greatest that can be. It is chosen
-- here and not in silver, because a row of staging is made of samples of two tables.
with

samples as (
    select * from {{ source('bronze', 'bronze_genai2026_memory') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

ranked as (
    select
        landings.cluster_id,
        samples.container_ip,
        samples.timestamp_anon,
        samples.value,
        landings.landing_no,
        samples.landing_id,
        samples.source_row,
        row_number() over (
            partition by landings.cluster_id, samples.container_ip, samples.timestamp_anon
            order by
                landings.landing_no desc,
                case when samples.value between 0 and {{ most_of('usage', 'gpu_mem_used_bytes_max', anywhere=true) }} then 1
                    else 0
                end desc,
                {{ row_text(['samples.value']) }} desc,
                samples.source_row desc
        ) as place
    from samples
    inner join landings
        on samples.landing_id = landings.landing_id
)

select
    cluster_id,
    container_ip,
    timestamp_anon,
    value,
    landing_no,
    landing_id,
    source_row
from ranked
where place = 1
