{{ config(materialized='ephemeral') }}

-- Measurements of GPUs and their memory, by a short key of the attempt. Rows of one attempt and time that name different
-- devices are different measurements: its use is their sum, held against the same capacity as each of them, and not known
-- where one of them is not. Few attempts have several, so those are looked for by a hash first.
with

usage as (
    select
        {{ row_key(['cluster_id', 'job_id', 'attempt_id']) }} as measured_key,
        {{ row_hash(['job_id', 'attempt_id', 'measured_from']) }} as measurement_hash,
        sample_kind,
        gpu_count,
        gpu_memory_bytes,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max,
        {{ utc_to_epoch('measured_from') }} as from_s,
        {{ utc_to_epoch('measured_to') }} as to_s
    from {{ ref('int_usage') }}
),

repeated as (
    select measurement_hash
    from usage
    group by measurement_hash
    having count(*) > 1
),

summed as (
    select
        measured_key,
        from_s,
        max(sample_kind) as sample_kind,
        max(to_s) as to_s,
        max(gpu_count) as gpu_count,
        max(gpu_memory_bytes) as gpu_memory_bytes,
        {%- for amount in ['gpu_used_count', 'gpu_mem_used_bytes_mean', 'gpu_mem_used_bytes_max'] %}
        case
            when count(*) = 1 then max({{ amount }})
            when count(*) = count({{ amount }}) then cast(sum(cast({{ amount }} as decimal(38, 9))) as double)
        end as {{ amount }}{{ ',' if not loop.last }}
        {%- endfor %}
    from usage
    where measurement_hash in (select repeated.measurement_hash from repeated)
    group by measured_key, from_s
),

measured as (
    select
        measured_key,
        from_s,
        to_s,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max
    from usage
    where measurement_hash not in (select repeated.measurement_hash from repeated)
    union all
    select
        measured_key,
        from_s,
        to_s,
        sample_kind,
        {{ plausible('usage', 'gpu_used_count') }} as gpu_used_count,
        {{ plausible('usage', 'gpu_mem_used_bytes_mean') }} as gpu_mem_used_bytes_mean,
        {{ plausible('usage', 'gpu_mem_used_bytes_max') }} as gpu_mem_used_bytes_max
    from summed
    union all
    select
        measured_key,
        from_s,
        to_s,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max
    from {{ ref('int_device_usage') }}
)

select *
from measured
where
    gpu_used_count is not null
    or gpu_mem_used_bytes_mean is not null
    or gpu_mem_used_bytes_max is not null
