{{ config(materialized='ephemeral') }}

-- Of an hour: how much of it a sample speaks of, means over the seconds in which an amount is known, the highest of others.
-- Devices by their number: texts as keys of millions of rows cost more than all that is summed.
with

-- Samples cut at the borders of hours: piece_s seconds each.
pieces as (
    select * from {{ ref('int_measured_samples') }}
)

select
    device_key,
    hour_ix,
    max(cluster_id) as cluster_id,
    max(machine_id) as machine_id,
    max(gpu_device) as gpu_device,
    max(gpu_index) as gpu_index,
    max(gpu_uuid) as gpu_uuid,
    max(mig_id) as mig_id,
    cast(sum(piece_s) as bigint) as sampled_s,
    case when min(usual_step_s) = max(usual_step_s) then max(usual_step_s) when max(usual_step_s) is not null then 0 end
        as usual_step_s,
    cast(sum(case when used_ratio is not null then piece_s else 0 end) as bigint) as use_covered_s,
    cast(sum({{ whole('used_ratio * 1000000') }} * piece_s) as bigint) as used_us,
    case when min(gpu_signal) = max(gpu_signal) then max(gpu_signal) when max(gpu_signal) is not null then 'several' end
        as gpu_signal,
    {%- for amount, digits in gpu_means().items() %}
    {{ mean_over_seconds(amount, 'piece_s', digits) }} as {{ amount }},
    {%- endfor %}
    max(memory_used_bytes) as memory_used_bytes_max,
    max(memory_total_bytes) as memory_total_bytes,
    max(power_w) as power_w_max,
    max(power_limit_w) as power_limit_w,
    cast(sum(case when power_w is not null then piece_s else 0 end) as bigint) as power_covered_s,
    max(temperature_c) as temperature_c_max,
    max(memory_temperature_c) as memory_temperature_c_max,
    cast(sum(case when temperature_c is not null then piece_s else 0 end) as bigint) as temperature_covered_s,
    cast(sum(case when temperature_c >= {{ hot_c() }} then piece_s else 0 end) as bigint) as hot_s,
    min(sm_clock_hz) as sm_clock_hz_min,
    cast(sum(case when clocks_event_reasons is not null then piece_s else 0 end) as bigint) as reasons_covered_s,
    {%- for reason, bit in clocks_event_bits().items() %}
    cast(sum(case when clocks_event_reasons & {{ bit }} != 0 then piece_s else 0 end) as bigint) as {{ reason }}_s,
    {%- endfor %}
    max(remapped_rows_correctable) as remapped_rows_correctable,
    max(remapped_rows_uncorrectable) as remapped_rows_uncorrectable,
    max(row_remap_pending) as row_remap_pending,
    max(row_remap_failed) as row_remap_failed,
    cast(sum(case when is_first_piece then implausible_amounts else 0 end) as bigint) as implausible_values
from pieces
group by device_key, hour_ix
