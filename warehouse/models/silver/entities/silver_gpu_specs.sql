-- A delivery of GPU models has everything built in full, so nothing is added here between full builds.
{{ config(materialized='table', tags=['full_builds_only']) }}

with

specs as (
    select * from {{ ref('int_gpu_models') }}
),

aliases as (
    select * from {{ ref('gpu_model_aliases') }}
),

named as (
    select
        specs.*,
        coalesce(aliases.gpu_model, specs.gpu_model_source) as gpu_model
    from specs
    left join aliases
        on lower(specs.gpu_model_source) = lower(aliases.alias)
),

-- Our cited row stands before a scraped one of the same model.
ranked as (
    select
        *,
        row_number() over (partition by gpu_model order by is_cited desc, gpu_model_source asc) as place
    from named
),

alias_lists as (
    select
        gpu_model,
        {{ text_list('alias') }} as aliases
    from aliases
    group by gpu_model
)

select
    ranked.gpu_model,
    alias_lists.aliases,
    ranked.is_cited,
    ranked.architecture,
    coalesce(cast(ranked.launch_year as varchar), ranked.released) as released,
    ranked.memory_bytes,
    ranked.memory_type,
    ranked.memory_bandwidth_bytes_per_s,
    ranked.tdp_w,
    ranked.fp32_tflops,
    ranked.fp16_tensor_tflops,
    ranked.interconnect,
    ranked.source_url,
    ranked.note
from ranked
left join alias_lists
    on ranked.gpu_model = alias_lists.gpu_model
where ranked.place = 1
