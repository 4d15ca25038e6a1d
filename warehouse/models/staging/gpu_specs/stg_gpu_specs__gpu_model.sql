with

specs as (
    select * from {{ source('bronze', 'bronze_gpu_specs') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    coalesce(specs.gpu_model, specs.product_name) as gpu_model_source,
    specs.gpu_model is not null as is_cited,
    coalesce(specs.architecture, specs.gpu_chip) as architecture,
    specs.launch_year,
    specs.released,
    coalesce(
        {{ gib_to_bytes('specs.memory_gib') }},
        {{ memory_text_to_bytes('specs.memory') }}
    ) as memory_bytes,
    coalesce(specs.memory_type, {{ text_part('specs.memory', ',', 2) }}) as memory_type,
    round(specs.memory_bandwidth_gb_per_s * 1000000000) as memory_bandwidth_bytes_per_s,
    specs.tdp_w,
    specs.fp32_tflops,
    specs.fp16_tensor_tflops,
    specs.interconnect,
    specs.source_url,
    specs.note,
    {{ row_text([
        'gpu_model', 'architecture', 'launch_year', 'memory_gib', 'memory_type', 'memory_bandwidth_gb_per_s', 'tdp_w',
        'fp32_tflops', 'fp16_tensor_tflops', 'interconnect', 'source_url', 'note', 'product_name', 'gpu_chip', 'released',
        'bus', 'memory', 'gpu_clock', 'memory_clock', 'shaders_tmus_rops',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    specs.landing_id,
    specs.source_row
from specs
inner join landings
    on specs.landing_id = landings.landing_id
