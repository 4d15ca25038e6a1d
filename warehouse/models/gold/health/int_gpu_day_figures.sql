{{ config(materialized='ephemeral') }}

-- Each GPU's day beside what its model and its peers are like: those of its model in its cluster on that day.
with

days as (
    select * from {{ ref('int_gpu_days') }}
),

sums as (
    select * from {{ ref('int_gpu_day_sums') }}
),

limits as (
    select
        gpu_model,
        {{ last_by('slowdown_c', 'decided_on') }} as slowdown_c
    from {{ ref('gpu_temperature_limits') }}
    group by gpu_model
),

-- What a machine's GPUs were sampled for at most: where one was for less, it was missing alone.
machines as (
    select
        cluster_id,
        machine_id,
        dt,
        max(sampled_s) as sampled_s
    from sums
    group by cluster_id, machine_id, dt
),

peers as (
    select
        days.cluster_id,
        days.dt,
        days.gpu_model,
        count(case when sums.busy_s >= 3600 then 1 end) as busy_gpus,
        {{ exact_quantile('case when sums.busy_s >= 3600 then sums.busy_clock_hz end', 0.5) }} as clock_hz,
        max(sums.power_limit_w) as power_limit_w
    from days
    inner join sums
        on days.cluster_id = sums.cluster_id
            and days.machine_id = sums.machine_id
            and days.gpu_device = sums.gpu_device
            and days.dt = sums.dt
    group by days.cluster_id, days.dt, days.gpu_model
)

select
    sums.*,
    days.cluster_id as day_cluster_id,
    days.dt as day_dt,
    days.machine_id as day_machine_id,
    days.gpu_device as day_gpu_device,
    days.gpu_uuid,
    days.gpu_model,
    greatest(days.expected_s, coalesce(sums.sampled_s, 0)) as expected_s,
    greatest(days.expected_s - coalesce(sums.sampled_s, 0), 0) as missing_s,
    least(
        greatest(days.expected_s - coalesce(sums.sampled_s, 0), 0),
        coalesce(machines.sampled_s, 0) - coalesce(sums.sampled_s, 0)
    ) as missing_alone_s,
    limits.slowdown_c,
    case when sums.busy_s >= 3600 and peers.busy_gpus >= 4 then peers.clock_hz end as peers_clock_hz,
    peers.power_limit_w as peers_power_limit_w
from days
left join sums
    on days.cluster_id = sums.cluster_id
        and days.machine_id = sums.machine_id
        and days.gpu_device = sums.gpu_device
        and days.dt = sums.dt
left join machines
    on days.cluster_id = machines.cluster_id
        and days.machine_id = machines.machine_id
        and days.dt = machines.dt
left join peers
    on days.cluster_id = peers.cluster_id
        and days.dt = peers.dt
        and days.gpu_model = peers.gpu_model
left join limits
    on days.gpu_model = limits.gpu_model
