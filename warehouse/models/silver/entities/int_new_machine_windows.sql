{{ config(materialized='ephemeral') }}

with

delivered as (
    select * from {{ ref('int_delivered_machine_windows') }}
    where {{ pending_only() if not is_full_build() else 'true' }}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'machine_window'
)

select
    delivered.cluster_id,
    delivered.machine_id,
    delivered.worker_id,
    delivered.started_at,
    delivered.ended_at,
    delivered.gpu_util_pct,
    delivered.cpu_util_pct,
    delivered.machine_load_1,
    delivered.machine_net_receive,
    delivered.machine_cpu_iowait,
    delivered.machine_cpu_kernel,
    delivered.machine_cpu_usr,
    delivered.machine_num_worker,
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
