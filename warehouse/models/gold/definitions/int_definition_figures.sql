{{ config(materialized='ephemeral') }}

-- Utilisation of the same jobs as others define it, beside ours; docs/explanation/whose-utilisation.md has the peers'
-- own words.
--   ours                active over measured time of the share that was held; null where nothing was measured
--   plain_mean          the mean of all readings, zeros too: what is written first, and gcm's without its filter
--   jobstats            the mean over the GPUs that report of each one's mean reading; 100 where none reports. It has no
--                       figure of a fleet: there, every GPU of every job counts alike
--   job_defense_shield  Σ elapsed × mean use of a GPU / Σ elapsed, over the GPUs in the job's summary
--   gcm                 the mean of the readings that are not 0, and 0 where there is none
--   opencost            the mean use of a container's devices over the GPUs it asked for, whole ones: a container of several
--                       is divided by their number twice; a use that is not known is 0
with

measured as (
    select
        jobs.*,
        definitions.definition,
        definitions.note
    from {{ ref('int_measured_jobs') }} as jobs
    cross join {{ ref('definition_notes') }} as definitions
)

select
    cluster_id,
    job_id,
    jobs,
    definition,
    note,
    cast(case definition
        when 'ours' then {{ gpu_h('allocated_mgpu_s') }}
        else gpu_s / 3600.0
    end as double) as gpu_h,
    cast(case definition
        when 'ours' then 100.0 * active_mgpu_s / nullif(allocated_mgpu_s - unknown_mgpu_s, 0)
        when 'plain_mean' then readings_ngpu / nullif(readings, 0) / 10000000.0
        when 'jobstats' then coalesce(mean_ngpu / nullif(reporting_gpus, 0) / 10000000.0, 100)
        when 'job_defense_shield' then shield_ngpu_s / nullif(shield_gpu_s, 0) / 10000000.0
        when 'gcm' then coalesce(readings_ngpu / nullif(busy_readings, 0) / 10000000.0, 0)
        when 'opencost' then device_ngpu_s / nullif(gpu_s, 0) / 10000000.0
    end as double) as util_pct,
    cast(case definition
        when 'ours' then 100.0 * active_mgpu_s / nullif(allocated_mgpu_s, 0)
    end as double) as util_low_pct,
    cast(case definition
        when 'ours' then 100.0 * (active_mgpu_s + unknown_mgpu_s) / nullif(allocated_mgpu_s, 0)
    end as double) as util_high_pct,
    cast(case definition
        when 'ours' then {{ gpu_h('(allocated_mgpu_s - unknown_mgpu_s)') }}
        when 'plain_mean' then measured_gpu_s / 3600.0
        when 'jobstats' then reporting_gpu_s / 3600.0
        when 'job_defense_shield' then shield_gpu_s / 3600.0
        when 'gcm' then busy_gpu_s / 3600.0
        when 'opencost' then gpu_s / 3600.0
    end as double) as denominator_gpu_h,
    cast(case definition
        when 'ours' then {{ gpu_h('unknown_mgpu_s') }}
        when 'plain_mean' then (gpu_s - measured_gpu_s) / 3600.0
        when 'jobstats' then (gpu_s - reporting_gpu_s) / 3600.0
        when 'job_defense_shield' then (gpu_s - shield_gpu_s) / 3600.0
        when 'gcm' then (gpu_s - busy_gpu_s) / 3600.0
        when 'opencost' then 0
    end as double) as left_out_gpu_h,
    cast(case definition
        when 'ours' then case when unknown_mgpu_s < allocated_mgpu_s then {{ gpu_h('zero_util_mgpu_s') }} end
        when 'job_defense_shield' then case when reporting_gpu_s > 0 then shield_unused_gpu_s / 3600.0 end
    end as double) as unused_gpu_h
from measured
