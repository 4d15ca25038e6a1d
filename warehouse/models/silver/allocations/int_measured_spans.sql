{{ config(materialized='ephemeral') }}

-- A span without measurements is one piece; else each piece of the usage that falls into it.
with

spans as (
    select * from {{ ref('int_spans') }}
),

pieces as (
    select * from {{ ref('int_usage_pieces') }}
),

clusters as (
    select distinct
        cluster_id,
        cluster_no
    from {{ ref('int_days') }}
)

select
    spans.cluster_id,
    spans.job_id,
    spans.task_id,
    spans.machine_id,
    spans.instance_hash,
    spans.held_mgpu,
    spans.landing_no,
    spans.source_row,
    clusters.cluster_no,
    pieces.sample_kind,
    case when spans.part_mgpu is null then pieces.gpu_used_count else pieces.gpu_used_count * spans.part_mgpu / 1000.0 end
        as gpu_used_count,
    pieces.gpu_mem_used_bytes_mean,
    pieces.gpu_mem_used_bytes_max,
    greatest(spans.start_s, coalesce(pieces.from_s, spans.start_s)) as start_s,
    least(spans.end_s, coalesce(pieces.to_s, spans.end_s)) as end_s
from spans
inner join clusters
    on spans.cluster_id = clusters.cluster_id
left join pieces
    on spans.measured_key = pieces.measured_key
where
    greatest(spans.start_s, coalesce(pieces.from_s, spans.start_s))
    < least(spans.end_s, coalesce(pieces.to_s, spans.end_s))
