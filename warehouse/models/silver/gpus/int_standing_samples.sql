{{ config(materialized='ephemeral') }}

-- Samples of the days that are built again, one per device and time: the later landing's, inside one the row that knows
-- more. Few are delivered twice, so those are looked for by a hash first.
with

-- Read anew for each use: kept for all of them it would hold the text of every row, which only repeated ones need.
delivered as {{ inlined() }} (
    select
        samples.*,
        {{ gpu_device('coalesce(samples.gpu_index, places.gpu_index)', 'samples.gpu_uuid', 'samples.mig_id') }}
            as gpu_device
    from {{ ref('int_delivered_gpu_samples') }} as samples
    left join {{ ref('int_gpu_places') }} as places
        on samples.cluster_id = places.cluster_id
            and samples.machine_id = places.machine_id
            and samples.gpu_uuid = places.gpu_uuid
    where {{ in_sampled_range('samples.sampled_at') }}
),

repeated as (
    select {{ row_hash(['cluster_id', 'machine_id', 'gpu_device', 'sampled_at']) }} as sample_hash
    from delivered
    group by sample_hash
    having count(*) > 1
),

beaten as (
    select
        landing_no,
        source_row,
        row_number() over (
            partition by cluster_id, machine_id, gpu_device, sampled_at
            order by landing_no desc, known_fields desc, row_text desc, source_row desc
        ) as place
    from delivered
    where
        {{ row_hash(['cluster_id', 'machine_id', 'gpu_device', 'sampled_at']) }} in (
            select repeated.sample_hash from repeated
        )
)

select delivered.*
from delivered
left join beaten
    on delivered.landing_no = beaten.landing_no
        and delivered.source_row = beaten.source_row
        and beaten.place > 1
where beaten.source_row is null
