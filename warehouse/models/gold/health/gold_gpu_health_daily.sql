{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

with

signs as (
    select * from {{ ref('int_gpu_day_signs') }}
)

-- The gravest words decide: those of a sick GPU, then those for which somebody should look, then what nobody saw. Each sign
-- and its bound stand in macros/health.sql. Of seconds in which an amount was never known null is told, not 0.
select
    day_cluster_id as cluster_id,
    day_dt as dt,
    day_machine_id as machine_id,
    day_gpu_device as gpu_device,
    gpu_uuid,
    gpu_model,
    case
        when sick_words is not null then 'sick'
        when look_words is not null then 'look'
        when unseen_words is not null then 'unknown'
        else 'well'
    end as verdict,
    case
        when sick_words is not null or look_words is not null
            then {{ joined_texts(['sick_words', 'look_words', 'unseen_words']) }}
        else coalesce(unseen_words, well_words)
    end as verdict_reason,
    {{ health_to_do() }} as to_do,
    temperature_c_max,
    slowdown_c,
    slowdown_c - temperature_c_max as slowdown_margin_c,
    memory_temperature_c_max,
    cast(case when temperature_covered_s > 0 then hot_s end as bigint) as hot_s,
    cast(reasons_covered_s as bigint) as reasons_covered_s,
    cast(case when reasons_covered_s > 0 then thermal_s end as bigint) as thermal_s,
    cast(case when reasons_covered_s > 0 then sw_thermal_s end as bigint) as sw_thermal_s,
    cast(case when reasons_covered_s > 0 then hw_thermal_s end as bigint) as hw_thermal_s,
    cast(case when reasons_covered_s > 0 then hw_slowdown_s end as bigint) as hw_slowdown_s,
    cast(case when reasons_covered_s > 0 then hw_power_brake_s end as bigint) as hw_power_brake_s,
    cast(case when reasons_covered_s > 0 then sw_power_cap_s end as bigint) as sw_power_cap_s,
    {{ ratio('sw_power_cap_s', 'reasons_covered_s') }} as power_cap_ratio,
    power_limit_w,
    peers_power_limit_w,
    ecc_corrected,
    ecc_uncorrected,
    cast(remapped_rows as bigint) as remapped_rows,
    cast(new_remapped_rows as bigint) as new_remapped_rows,
    cast(row_remap_pending as bigint) as row_remap_pending,
    cast(row_remap_failed as bigint) as row_remap_failed,
    pcie_replays,
    nvlink_errors,
    cast(coalesce(counter_resets, 0) as bigint) as counter_resets,
    busy_clock_hz / 1000000 as busy_clock_mhz,
    peers_clock_hz / 1000000 as peers_clock_mhz,
    {{ ratio('busy_clock_hz', 'peers_clock_hz') }} as clock_ratio,
    cast(coalesce(still_hours, 0) as bigint) as still_hours,
    cast(xids_critical as bigint) as xids_critical,
    cast(xids_warning as bigint) as xids_warning,
    cast(xids_info as bigint) as xids_info,
    cast(xids_unknown as bigint) as xids_unknown,
    cast(application_lines as bigint) as application_errors,
    cast(coalesce(sampled_s, 0) as bigint) as sampled_s,
    cast(expected_s as bigint) as expected_s,
    cast(missing_s as bigint) as missing_s,
    cast(missing_alone_s as bigint) as missing_alone_s
from signs
