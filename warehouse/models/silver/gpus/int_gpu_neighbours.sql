{{ config(materialized='ephemeral') }}

-- Each sample with the times of those before and after it. Rows are narrow: they are sorted, and there are millions.
with

clusters as (
    select distinct
        cluster_id,
        cluster_no
    from {{ ref('int_days') }}
),

samples as (
    select
        clusters.cluster_no,
        {{ device_hash('delivered') }} as device_key,
        {{ utc_to_epoch('delivered.sampled_at') }} as at_s,
        delivered.sample_kind = 'interval_mean' as is_mean,
        {{ whole('nullif(delivered.interval_s, 0)') }} as interval_s
    from {{ ref('silver_gpu_samples') }} as delivered
    inner join clusters
        on delivered.cluster_id = clusters.cluster_id
    where {{ of_touched_samples('delivered.sampled_at') }}
)

select
    *,
    lag(at_s) over in_time as previous_s,
    lead(at_s) over in_time as next_s,
    lead({{ speaks_since() }}) over in_time as next_from_s
from samples
window in_time as (partition by device_key order by at_s)
