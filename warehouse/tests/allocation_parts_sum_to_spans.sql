-- The parts of a span are the span, without gap or overlap. It reads every instance: by hand and in this project's tests,
-- not at each refresh.
{{ config(tags=['by_hand']) }}

with

parts as (
    select
        landing_no,
        source_row,
        min(start_s) as start_s,
        max(end_s) as end_s,
        cast(sum(end_s - start_s) as bigint) as parts_s,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s
    from {{ ref('silver_allocation_days') }}
    group by landing_no, source_row
),

spans as (
    select
        landing_no,
        source_row,
        {{ utc_to_epoch('started_at') }} as start_s,
        {{ utc_to_epoch('ended_at') }} as end_s,
        held_s,
        allocated_mgpu_s
    from {{ ref('silver_allocations') }}
)

select
    coalesce(spans.landing_no, parts.landing_no) as landing_no,
    coalesce(spans.source_row, parts.source_row) as source_row,
    spans.held_s,
    parts.parts_s,
    spans.allocated_mgpu_s,
    parts.allocated_mgpu_s as parts_allocated_mgpu_s
from spans
full outer join parts
    on spans.landing_no = parts.landing_no
        and spans.source_row = parts.source_row
where
    spans.landing_no is null
    or parts.landing_no is null
    or spans.start_s != parts.start_s
    or spans.end_s != parts.end_s
    or spans.held_s != parts.parts_s
    or spans.allocated_mgpu_s != parts.allocated_mgpu_s
