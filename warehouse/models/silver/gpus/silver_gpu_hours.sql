{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook=["{{ delete_touched_gpu_hours() }}", "{{ keep_join_order() }}"],
    post_hook="{{ choose_join_sides() }}",
) }}

with

measured as (
    select * from {{ ref('int_gpu_hour_means') }}
),

growth as (
    select * from {{ ref('int_hour_growth') }}
),

hours as (
    select * from {{ ref('int_day_hours') }}
)

-- What each counter grew by counts in the hour in which its sample begins to speak.
select
    measured.cluster_id,
    measured.machine_id,
    measured.gpu_device,
    hours.dt,
    hours.hour_start_at,
    hours.hour_s,
    measured.gpu_index,
    measured.gpu_uuid,
    measured.mig_id,
    measured.sampled_s,
    measured.use_covered_s,
    measured.used_us,
    measured.gpu_signal,
    {%- for amount in gpu_means() %}
    measured.{{ amount }},
    {%- endfor %}
    measured.memory_used_bytes_max,
    measured.memory_total_bytes,
    measured.power_w_max,
    measured.power_limit_w,
    measured.power_covered_s,
    measured.temperature_c_max,
    measured.memory_temperature_c_max,
    coalesce(growth.samples, 0) as samples,
    measured.usual_step_s,
    measured.temperature_covered_s,
    measured.hot_s,
    measured.sm_clock_hz_min,
    measured.reasons_covered_s,
    {%- for reason in clocks_event_bits() %}
    measured.{{ reason }}_s,
    {%- endfor %}
    {%- for counter in gpu_counters() %}
    growth.{{ counter }},
    {%- endfor %}
    coalesce(growth.counter_resets, 0) as counter_resets,
    measured.remapped_rows_correctable,
    measured.remapped_rows_uncorrectable,
    measured.row_remap_pending,
    measured.row_remap_failed,
    measured.implausible_values
from measured
inner join hours
    on measured.hour_ix = hours.hour_ix
left join growth
    on measured.device_key = growth.device_key
        and measured.hour_ix = growth.hour_ix
