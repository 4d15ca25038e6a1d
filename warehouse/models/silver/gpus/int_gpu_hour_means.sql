{{ config(materialized='ephemeral') }}

-- Of an hour: how much of it a sample speaks of, means over the seconds in which an amount is known, the highest of others.
with

sums as (
    select * from {{ ref('int_gpu_hour_sums') }}
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
    {{ seconds_of('pieces') }} as sampled_s,
    case
        when min(least_usual_step_s) = max(most_usual_step_s) then max(most_usual_step_s)
        when max(most_usual_step_s) is not null then 0
    end as usual_step_s,
    {{ seconds_of('pieces_of_use') }} as use_covered_s,
    cast(sum(used_micro * piece_s) as bigint) as used_us,
    case
        when min(first_gpu_signal) = max(last_gpu_signal) then max(last_gpu_signal)
        when max(last_gpu_signal) is not null then 'several'
    end as gpu_signal,
    {%- for amount in gpu_means() %}
    cast(
        {{ of_millionths('sum(' ~ amount ~ ' * piece_s)') }} / nullif(sum(pieces_of_{{ amount }} * piece_s), 0) as double
    ) as {{ amount }},
    {%- endfor %}
    max(memory_used_bytes_max) as memory_used_bytes_max,
    max(memory_total_bytes) as memory_total_bytes,
    max(power_w_max) as power_w_max,
    max(power_limit_w) as power_limit_w,
    {{ seconds_of('pieces_of_power_w') }} as power_covered_s,
    max(temperature_c_max) as temperature_c_max,
    max(memory_temperature_c_max) as memory_temperature_c_max,
    {{ seconds_of('pieces_of_temperature_c') }} as temperature_covered_s,
    {{ seconds_of('pieces_hot') }} as hot_s,
    min(sm_clock_hz_min) as sm_clock_hz_min,
    {{ seconds_of('pieces_of_reasons') }} as reasons_covered_s,
    {%- for reason in clocks_event_bits() %}
    {{ seconds_of('pieces_' ~ reason) }} as {{ reason }}_s,
    {%- endfor %}
    max(remapped_rows_correctable) as remapped_rows_correctable,
    max(remapped_rows_uncorrectable) as remapped_rows_uncorrectable,
    max(row_remap_pending) as row_remap_pending,
    max(row_remap_failed) as row_remap_failed,
    cast(sum(implausible_values) as bigint) as implausible_values
from sums
group by device_key, hour_ix
