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
),

machines as (
    select * from {{ ref('silver_machines') }}
)

select
    delivered.cluster_id,
    delivered.machine_id,
    delivered.worker_id,
    delivered.started_at,
    delivered.ended_at,
    machines.gpu_count,
    {{ plausible_amounts('machine_window') }},
    delivered.source,
    delivered.landing_id,
    delivered.landing_no,
    delivered.source_row
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
left join machines
    on delivered.cluster_id = machines.cluster_id
        and delivered.machine_id = machines.machine_id
        and {{ is_valid_at('machines', 'coalesce(delivered.started_at, delivered.ended_at)') }}
where beaten.landing_id is null
