{{ config(materialized='ephemeral') }}

-- Numbers for the texts of the machines that windows name: the sweep sorts and groups by them.
with

machines as (
    select distinct
        cluster_id,
        machine_id
    from {{ ref('silver_gpu_timeseries') }}
    where started_at < ended_at and {{ within_touched_range('machine_window', 'started_at', 'ended_at') }}
),

clusters as (
    select distinct
        cluster_id,
        cluster_no
    from {{ ref('int_days') }}
)

select
    machines.cluster_id,
    machines.machine_id,
    clusters.cluster_no,
    cast(row_number() over (order by machines.cluster_id, machines.machine_id) as integer) as machine_no
from machines
inner join clusters
    on machines.cluster_id = clusters.cluster_id
