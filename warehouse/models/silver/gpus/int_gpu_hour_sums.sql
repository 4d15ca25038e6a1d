{{ config(materialized='ephemeral') }}

-- Sums, in millionths, over the samples of an hour that speak of equally many of its seconds: so no sample is weighed by
-- itself, and nearly all speak of one step. Devices by their number: texts as keys of millions of rows cost more than all
-- that is summed.
with

-- Samples cut at the borders of hours: piece_s seconds each.
pieces as (
    select * from {{ ref('int_measured_samples') }}
)

select
    device_key,
    hour_ix,
    piece_s,
    any_value(cluster_id) as cluster_id,
    any_value(machine_id) as machine_id,
    any_value(gpu_device) as gpu_device,
    max(gpu_index) as gpu_index,
    max(gpu_uuid) as gpu_uuid,
    max(mig_id) as mig_id,
    count(*) as pieces,
    min(usual_step_s) as least_usual_step_s,
    max(usual_step_s) as most_usual_step_s,
    count(used_ratio) as pieces_of_use,
    sum({{ in_millionths('used_ratio', 12) }}) as used_micro,
    min(gpu_signal) as first_gpu_signal,
    max(gpu_signal) as last_gpu_signal,
    {%- for amount, digits in gpu_means().items() %}
    count({{ amount }}) as pieces_of_{{ amount }},
    sum({{ in_millionths(amount, digits) }}) as {{ amount }},
    {%- endfor %}
    max(memory_used_bytes) as memory_used_bytes_max,
    max(memory_total_bytes) as memory_total_bytes,
    max(power_w) as power_w_max,
    max(power_limit_w) as power_limit_w,
    max(temperature_c) as temperature_c_max,
    max(memory_temperature_c) as memory_temperature_c_max,
    count(case when temperature_c >= {{ hot_c() }} then 1 end) as pieces_hot,
    min(sm_clock_hz) as sm_clock_hz_min,
    count(clocks_event_reasons) as pieces_of_reasons,
    {%- for reason, bit in clocks_event_bits().items() %}
    count(case when clocks_event_reasons & {{ bit }} != 0 then 1 end) as pieces_{{ reason }},
    {%- endfor %}
    max(remapped_rows_correctable) as remapped_rows_correctable,
    max(remapped_rows_uncorrectable) as remapped_rows_uncorrectable,
    max(row_remap_pending) as row_remap_pending,
    max(row_remap_failed) as row_remap_failed,
    sum(case when is_first_piece then implausible_amounts else 0 end) as implausible_values
from pieces
group by device_key, hour_ix, piece_s
