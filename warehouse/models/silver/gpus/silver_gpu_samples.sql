{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_replaced_samples() }}",
) }}

-- Sources tell samples in many shapes: they are put together once.
with

samples as (
    select
        cluster_id,
        machine_id,
        gpu_device,
        gpu_index,
        gpu_uuid,
        mig_id,
        sampled_at,
        sample_kind,
        interval_s,
        {{ plausible_amounts('gpu_sample') }},
        case when clocks_event_reasons >= 0 then clocks_event_reasons end as clocks_event_reasons,
        row_remap_pending,
        row_remap_failed,
        xid,
        job_id,
        landing_id,
        source_row
    from {{ ref('int_standing_samples') }}
),

quarters as (
    select * from {{ ref('int_day_quarters') }}
    where {{ of_touched_days('machine_window') }}
)

select
    samples.cluster_id,
    samples.machine_id,
    samples.gpu_device,
    samples.gpu_index,
    samples.gpu_uuid,
    samples.mig_id,
    quarters.dt,
    samples.sampled_at,
    samples.sample_kind,
    samples.interval_s,
    coalesce(samples.sm_active_ratio, samples.gr_engine_active_ratio, samples.gpu_util_pct / 100) as used_ratio,
    case
        when samples.sm_active_ratio is not null then 'sm_active'
        when samples.gr_engine_active_ratio is not null then 'gr_engine_active'
        when samples.gpu_util_pct is not null then 'gpu_util'
    end as gpu_signal,
    {%- for amount in measured_amounts()['gpu_sample'] %}
    samples.{{ amount }},
    {%- endfor %}
    samples.clocks_event_reasons,
    samples.row_remap_pending,
    samples.row_remap_failed,
    samples.xid,
    samples.job_id,
    {{ implausible_amounts('gpu_sample') }} as implausible_amounts,
    samples.landing_id,
    samples.source_row
from samples
inner join quarters
    on samples.cluster_id = quarters.cluster_id
        and {{ quarter_of('samples.sampled_at') }} = quarters.quarter
        and samples.sampled_at >= quarters.starts_at
        and samples.sampled_at < quarters.ends_at
