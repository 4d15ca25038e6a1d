{{ config(materialized='ephemeral') }}

-- What the hours of a day say of each GPU; of a parted one the parts together: what is most of any of them. Rows of memory
-- are replaced by a restart, so they count from the hour before on, be it of the day before; of another GPU there anew.
with

hours_before as (
    select
        *,
        case when used_us >= 500000 * use_covered_s and sm_clock_hz is not null then use_covered_s else 0 end as busy_s,
        {{ remapped_rows() }} - lag({{ remapped_rows() }}) over (
            partition by cluster_id, machine_id, gpu_device, gpu_uuid order by hour_start_at
        ) as replaced_rows
    from {{ ref('silver_gpu_hours') }}
    where {{ of_due_days_or_before() }}
),

hours as (
    select * from hours_before
    where {{ of_due_days() }}
),

summed as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        dt,
        sum(sampled_s) as sampled_s,
        max(temperature_c_max) as temperature_c_max,
        max(memory_temperature_c_max) as memory_temperature_c_max,
        sum(temperature_covered_s) as temperature_covered_s,
        sum(hot_s) as hot_s,
        sum(reasons_covered_s) as reasons_covered_s,
        sum(greatest(sw_thermal_s, hw_thermal_s)) as thermal_s,
        sum(sw_thermal_s) as sw_thermal_s,
        sum(hw_thermal_s) as hw_thermal_s,
        sum(hw_slowdown_s) as hw_slowdown_s,
        sum(hw_power_brake_s) as hw_power_brake_s,
        sum(sw_power_cap_s) as sw_power_cap_s,
        min(power_limit_w) as power_limit_w,
        sum(greatest(ecc_sbe_volatile, ecc_sbe_aggregate)) as ecc_corrected,
        sum(greatest(ecc_dbe_volatile, ecc_dbe_aggregate)) as ecc_uncorrected,
        max({{ remapped_rows() }}) as remapped_rows,
        sum(case when replaced_rows is not null then greatest(replaced_rows, 0) end) as new_remapped_rows,
        max(row_remap_pending) as row_remap_pending,
        max(row_remap_failed) as row_remap_failed,
        sum(pcie_replays) as pcie_replays,
        sum(nvlink_errors) as nvlink_errors,
        sum(counter_resets) as counter_resets,
        sum(busy_s) as busy_s,
        {{ exact_sum('sm_clock_hz / 1000000.0 * busy_s') }} as busy_mhz_s,
        count(case when {{ stands_still() }} then 1 end) as still_hours
    from hours
    group by cluster_id, machine_id, gpu_device, dt
)

select
    cluster_id,
    machine_id,
    {{ whole_device('gpu_device') }} as gpu_device,
    dt,
    max(sampled_s) as sampled_s,
    max(temperature_c_max) as temperature_c_max,
    max(memory_temperature_c_max) as memory_temperature_c_max,
    max(temperature_covered_s) as temperature_covered_s,
    max(hot_s) as hot_s,
    max(reasons_covered_s) as reasons_covered_s,
    max(thermal_s) as thermal_s,
    max(sw_thermal_s) as sw_thermal_s,
    max(hw_thermal_s) as hw_thermal_s,
    max(hw_slowdown_s) as hw_slowdown_s,
    max(hw_power_brake_s) as hw_power_brake_s,
    max(sw_power_cap_s) as sw_power_cap_s,
    min(power_limit_w) as power_limit_w,
    max(ecc_corrected) as ecc_corrected,
    max(ecc_uncorrected) as ecc_uncorrected,
    max(remapped_rows) as remapped_rows,
    max(new_remapped_rows) as new_remapped_rows,
    max(row_remap_pending) as row_remap_pending,
    max(row_remap_failed) as row_remap_failed,
    max(pcie_replays) as pcie_replays,
    max(nvlink_errors) as nvlink_errors,
    max(counter_resets) as counter_resets,
    max(busy_mhz_s / nullif(busy_s, 0)) * 1000000 as busy_clock_hz,
    max(busy_s) as busy_s,
    max(still_hours) as still_hours
from summed
group by cluster_id, machine_id, {{ whole_device('gpu_device') }}, dt
