with

duty as (
    select * from {{ ref('int_genai2026__duty_cycle') }}
),

memory as (
    select * from {{ ref('int_genai2026__memory') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
),

-- A row has the lineage of its later sample, so that it is pending whenever either of the two is.
joined as (
    select
        coalesce(duty.cluster_id, memory.cluster_id) as cluster_id,
        coalesce(duty.container_ip, memory.container_ip) as container_ip,
        coalesce(duty.timestamp_anon, memory.timestamp_anon) as sampled_s,
        duty.value as duty_pct,
        memory.value as memory_bytes,
        case when duty.landing_no > coalesce(memory.landing_no, 0) then duty.landing_id else memory.landing_id end
            as landing_id,
        case when duty.landing_no > coalesce(memory.landing_no, 0) then duty.source_row else memory.source_row end
            as source_row
    from duty
    full outer join memory
        on duty.cluster_id = memory.cluster_id
            and duty.container_ip = memory.container_ip
            and duty.timestamp_anon = memory.timestamp_anon
),

followed as (
    select
        *,
        min(case when duty_pct between 0 and 110 then sampled_s end) over (
            partition by cluster_id, container_ip
            order by sampled_s
            rows between 1 following and unbounded following
        ) as next_duty_s
    from joined
)

-- A container has one GPU to itself. A sample ends where the next one begins, at the latest after the trace's step.
select
    followed.cluster_id,
    followed.container_ip as job_id,
    'container' as task_id,
    followed.container_ip as attempt_id,
    cast(null as varchar) as machine_id,
    cast(null as varchar) as gpu_device,
    1 as gpu_devices,
    {{ epoch_to_utc('followed.sampled_s') }} as measured_from,
    {{ epoch_to_utc('least(followed.sampled_s + ' ~ genai_sample_s() ~ ', followed.next_duty_s)') }} as measured_to,
    'instant' as sample_kind,
    'GPU duty cycle' as gpu_signal,
    followed.duty_pct / 100 as gpu_used_count,
    cast(null as double) as cpu_used_cores,
    cast(null as bigint) as memory_used_bytes_mean,
    cast(null as bigint) as memory_used_bytes_max,
    round(followed.memory_bytes) as gpu_mem_used_bytes_mean,
    round(followed.memory_bytes) as gpu_mem_used_bytes_max,
    cast(null as double) as net_rx_bytes_per_s,
    cast(null as double) as net_tx_bytes_per_s,
    {{ row_text([
        'followed.container_ip', 'followed.sampled_s', 'followed.duty_pct', 'followed.memory_bytes',
    ]) }} as row_text,
    landings.source,
    landings.landing_no,
    followed.landing_id,
    followed.source_row
from followed
inner join landings
    on followed.landing_id = landings.landing_id
