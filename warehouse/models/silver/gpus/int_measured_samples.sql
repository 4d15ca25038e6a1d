{{ config(materialized='ephemeral') }}

-- What samples say, once for each hour that they speak of, and of how many seconds of it.
with

samples as (
    select
        samples.*,
        {{ device_hash('samples') }} as device_key,
        {{ utc_to_epoch('samples.sampled_at') }} as at_s
    from {{ ref('silver_gpu_samples') }} as samples
    where {{ of_touched_samples('samples.sampled_at') }}
),

pieces as (
    select * from {{ ref('int_sample_hours') }}
)

select
    {%- for column in gpu_hour_columns() %}
    samples.{{ column }},
    {%- endfor %}
    samples.device_key,
    pieces.hour_ix,
    pieces.piece_s,
    pieces.is_first_piece,
    pieces.usual_step_s
from samples
inner join pieces
    on samples.device_key = pieces.device_key
        and samples.at_s = pieces.at_s
