{{ config(materialized='ephemeral') }}

-- What the counters of each sample grew by, and of when it speaks (int_gpu_spans). Apart from that, since rows with counters
-- are wide to sort and to keep. A counter belongs to the GPU, not to its place: where another one sat there before, nobody
-- knows. A sample that speaks of no second, since the next one speaks of all of them, still counts.
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
        {{ whole('nullif(delivered.interval_s, 0)') }} as interval_s,
        case when delivered.gpu_uuid is not null then {{ row_hash(['delivered.gpu_uuid']) }} end as uuid_hash,
        {%- for counter in gpu_counters() %}
        delivered.{{ counter }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('silver_gpu_samples') }} as delivered
    inner join clusters
        on delivered.cluster_id = clusters.cluster_id
    where {{ of_touched_samples('delivered.sampled_at') }}
),

neighbours as (
    select
        *,
        lag(at_s) over in_time as previous_s,
        lag({{ one_row(gpu_counters_as_they_are()) }}) over in_time as previous,
        lag(uuid_hash) over in_time as previous_uuid_hash,
        lead({{ speaks_since() }}) over in_time as next_from_s
    from samples
    window in_time as (partition by device_key order by at_s)
),

steps as (
    select
        neighbours.*,
        coalesce(neighbours.interval_s, usual_steps.usual_s) as step_s
    from neighbours
    left join {{ ref('int_usual_steps') }} as usual_steps
        on neighbours.device_key = usual_steps.device_key
            and neighbours.at_s // 86400 = usual_steps.utc_day
),

spans as (
    select
        *,
        {{ speaks_from() }} as from_s,
        {{ speaks_to() }} as to_s,
        {{ is_same_gpu('uuid_hash', 'previous_uuid_hash') }} as is_same_gpu
    from steps
    where step_s is not null
)

select
    cluster_no,
    device_key,
    from_s,
    to_s,
    {%- for counter in gpu_counters() %}
    case when is_same_gpu then {{ counted_since(counter, 'previous.' ~ counter, 'at_s - previous_s') }} end
        as grown_{{ counter }},
    {%- endfor %}
    is_same_gpu and {{ counters_fell() }} as has_reset
from spans
