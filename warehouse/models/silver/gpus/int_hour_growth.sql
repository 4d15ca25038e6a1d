{{ config(materialized='ephemeral') }}

-- How many samples of a device begin in an hour, and what its counters grew by there.
with

samples as (
    select * from {{ ref('int_gpu_samples') }}
),

quarters as (
    select * from {{ ref('int_hour_quarters') }}
    where {{ of_touched_gpu_hours() }}
)

select
    samples.device_key,
    quarters.hour_ix,
    count(case when samples.from_s < samples.to_s then 1 end) as samples,
    {%- for counter in gpu_counters() %}
    cast(sum(samples.grown_{{ counter }}) as double) as {{ counter }},
    {%- endfor %}
    count(case when samples.has_reset then 1 end) as counter_resets
from samples
inner join quarters
    on samples.cluster_no * 1000000000 + samples.from_s // 900 = quarters.quarter_key
        and samples.from_s >= quarters.hour_from_s
        and samples.from_s < quarters.hour_to_s
group by samples.device_key, quarters.hour_ix
