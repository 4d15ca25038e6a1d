with

samples as (
    select * from {{ source('bronze', 'bronze_prometheus_sample') }}
),

series as (
    select * from {{ ref('int_prometheus__gpu_series') }}
),

devices as (
    select * from {{ ref('int_prometheus__gpu_device') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- The gauge shows the last Xid until the driver is loaded again. What it showed before the first sample of a period is
-- asked for with it, and tells that a first value is no news; it is no sample of its own.
shown as (
    select
        samples.landing_id,
        series.device_no,
        samples.sampled_at,
        max(samples.value) as xid,
        max(samples.metric) != 'DCGM_FI_DEV_XID_ERRORS_BEFORE' as is_sample,
        max(series.error_text) as error_text,
        case when min(series.job_id) = max(series.job_id) then min(series.job_id) end as job_id,
        min(samples.source_row) as source_row
    from samples
    inner join series
        on samples.landing_id = series.landing_id
            and samples.labels = series.labels
            and samples.machine is not distinct from series.machine
    where samples.metric in ('DCGM_FI_DEV_XID_ERRORS', 'DCGM_FI_DEV_XID_ERROR', 'DCGM_FI_DEV_XID_ERRORS_BEFORE')
        and samples.value is not null
    group by
        samples.landing_id,
        series.device_no,
        samples.sampled_at
),

followed as (
    select
        *,
        lag(xid) over (partition by landing_id, device_no order by sampled_at) as xid_before
    from shown
)

select
    landings.cluster_id,
    devices.machine_id,
    devices.gpu_uuid,
    devices.gpu_index,
    devices.pci_bus_id,
    followed.sampled_at as happened_at,
    followed.sampled_at as last_at,
    'xid' as kind,
    {{ whole('followed.xid') }} as code,
    1 as event_count,
    followed.error_text as message,
    cast(null as bigint) as process_id,
    cast(null as varchar) as process_name,
    followed.job_id,
    {{ row_text(['devices.machine_id', 'devices.gpu_uuid', 'followed.sampled_at', 'followed.xid']) }} as row_text,
    landings.source,
    landings.landing_no,
    followed.landing_id,
    followed.source_row
from followed
inner join devices
    on followed.landing_id = devices.landing_id
        and followed.device_no = devices.device_no
inner join landings
    on followed.landing_id = landings.landing_id
where followed.is_sample
    and followed.xid > 0
    and followed.xid != followed.xid_before
