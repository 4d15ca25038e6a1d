-- Samples of GPUs that another one of their device and time stands for: the later landing's, inside one the row that knows
-- more. Few are delivered twice, so those are looked for by a hash first. Unless all is built, pending rows are held against
-- each other, and against what stands since the build before.
{%- set key = ['cluster_id', 'machine_id', 'gpu_device', 'sampled_at'] %}

with

-- Read anew for each use: kept for all of them it would hold the text of every row, which only repeated ones need.
samples as {{ inlined() }} (
    select * from {{ ref('int_delivered_gpu_samples') }}
    where {{ of_new_landings() }}
),

delivered as {{ inlined() }} (
    select
        samples.*,
        {{ gpu_device('coalesce(samples.gpu_index, places.gpu_index)', 'samples.gpu_uuid', 'samples.mig_id') }}
            as gpu_device
    from samples
    left join {{ ref('int_gpu_places') }} as places
        on samples.cluster_id = places.cluster_id
            and samples.machine_id = places.machine_id
            and samples.gpu_uuid = places.gpu_uuid
),
{%- if not is_full_build() %}

standing as {{ inlined() }} (
    select * from {{ as_it_was('silver_gpu_samples') }}
    where {{ within_pending_samples('sampled_at') }} and not ({{ pending_only() }})
),
{%- endif %}

told as (
    select {{ row_hash(key) }} as sample_hash from delivered
    {%- if not is_full_build() %}
    union all
    select {{ row_hash(key) }} as sample_hash from standing
    {%- endif %}
),

repeated as (
    select sample_hash
    from told
    group by sample_hash
    having count(*) > 1
),

ranked as (
    select
        landing_id,
        source_row,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by landing_no desc, known_fields desc, row_text desc, source_row desc
        ) as place
    from delivered
    where {{ row_hash(key) }} in (select repeated.sample_hash from repeated)
)

select
    landing_id,
    source_row
from ranked
where place > 1
{%- if not is_full_build() %}
union all
select
    standing.landing_id,
    standing.source_row
from standing
where
    {{ row_hash(key) }} in (select repeated.sample_hash from repeated)
    and ({{ key | join(', ') }}) in (select (delivered.{{ key | join(', delivered.') }}) from delivered)
{%- endif %}
