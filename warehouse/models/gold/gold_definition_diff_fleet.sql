{{ config(materialized='view') }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
),

definitions as (
    select * from {{ ref('definition_notes') }}
),

{{ job_measures('parts') }},

fleets as (
    select
        cluster_id,
        count(*) as jobs,
        {{ measure_sums() }}
    from job_measures
    group by cluster_id
)

select
    fleets.cluster_id,
    definitions.definition,
    fleets.jobs,
    {{ definition_figures() }},
    definitions.note
from fleets
cross join definitions
