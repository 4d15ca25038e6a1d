{{ config(materialized='ephemeral') }}

-- Who had a device to himself, and when: between two moments at which somebody came or went. Where several shared it, what
-- was measured of it is of nobody alone. An attempt that has not ended has its devices until the last day that is known.
with

devices as (
    select * from {{ ref('int_attempt_devices') }}
),

window_ends as (
    select
        cluster_id,
        max(ends_s) as ends_s
    from {{ ref('int_days') }}
    group by cluster_id
),

attempts as (
    select
        instances.cluster_id,
        instances.job_id,
        instances.attempt_id,
        instances.machine_id,
        {{ utc_to_epoch('instances.started_at') }} as from_s,
        coalesce({{ utc_to_epoch('instances.ended_at') }}, window_ends.ends_s) as to_s,
        row_number() over (
            partition by instances.cluster_id, instances.job_id, instances.attempt_id, instances.started_at
            order by instances.landing_no desc, instances.known_fields desc, instances.source_row desc
        ) as place
    from {{ ref('int_delivered_instances') }} as instances
    inner join window_ends
        on instances.cluster_id = window_ends.cluster_id
    where
        instances.started_at is not null
        and (instances.cluster_id, instances.job_id) in (select (devices.cluster_id, devices.job_id) from devices)
),

tenants as (
    select
        {{ device_hash('devices') }} as device_key,
        {{ row_key(['devices.cluster_id', 'devices.job_id', 'devices.attempt_id', 'devices.gpu_device']) }} as measured_key,
        attempts.from_s,
        attempts.to_s,
        row_number() over (
            order by attempts.cluster_id, attempts.job_id, attempts.attempt_id, devices.gpu_device, attempts.from_s
        ) as tenant_no
    from attempts
    inner join devices
        on attempts.cluster_id = devices.cluster_id
            and attempts.job_id = devices.job_id
            and attempts.attempt_id = devices.attempt_id
            and attempts.machine_id = devices.machine_id
    where attempts.place = 1 and attempts.from_s < attempts.to_s
),

comings as (
    select
        tenants.device_key,
        case when borders.sign = 1 then tenants.from_s else tenants.to_s end as at_s,
        sum(borders.sign) as step,
        sum(borders.sign * tenants.tenant_no) as tenant_step
    from tenants
    cross join (values (1), (-1)) as borders (sign)
    group by tenants.device_key, at_s
),

stretches as (
    select
        device_key,
        at_s as from_s,
        lead(at_s) over in_time as to_s,
        sum(step) over in_time as tenants,
        sum(tenant_step) over in_time as tenant_no
    from comings
    window in_time as (partition by device_key order by at_s)
)

select
    stretches.device_key,
    stretches.from_s,
    stretches.to_s,
    tenants.measured_key
from stretches
inner join tenants
    on stretches.tenant_no = tenants.tenant_no
where stretches.tenants = 1
