{{ config(materialized='ephemeral') }}

-- Spans whose days are touched: submissions of touched jobs, as they were and as they are; pending windows, which
-- bear on hours of the day before and after (int_reconstructed_hours); all spans that touched jobs have or had.
select
    'job' as entity,
    cluster_id,
    submitted_at as started_at,
    submitted_at as ended_at
from {{ ref('int_delivered_jobs') }}
where {{ delivered_of_touched_jobs() }}
union all
select
    'machine_window' as entity,
    cluster_id,
    coalesce(started_at, ended_at) - interval 25 hour as started_at,
    coalesce(ended_at, started_at) + interval 25 hour as ended_at
from {{ ref('int_delivered_machine_windows') }}
where {{ pending_only() }}
union all
select
    'allocation' as entity,
    cluster_id,
    started_at,
    ended_at
from {{ ref('int_delivered_instances') }}
where {{ delivered_of_touched_jobs() }}
union all
select
    'machine_window' as entity,
    cluster_id,
    hour_start_at as started_at,
    hour_start_at + interval 1 hour as ended_at
from {{ ref('touched_gpu_hours') }}
union all
-- A sample of a machine speaks of the time before it; counters are what the next one, up to a day later, has grown from.
select distinct
    'machine_window' as entity,
    cluster_id,
    {{ hour_of(epoch_to_utc(utc_to_epoch('sampled_at') ~ ' - greatest(least(coalesce(interval_s, 0), 86400), 3600)')) }}
        as started_at,
    {{ hour_of('sampled_at') }} + case
        when coalesce(cpu_total_us, net_rx_bytes, net_tx_bytes) is null then interval 2 hour
        else interval 25 hour
    end as ended_at
from {{ ref('int_delivered_machine_samples') }}
where {{ pending_only() }}
union all
select
    'event' as entity,
    cluster_id,
    happened_at as started_at,
    coalesce(last_at, happened_at) as ended_at
from {{ ref('int_delivered_events') }}
where {{ pending_only() }}
