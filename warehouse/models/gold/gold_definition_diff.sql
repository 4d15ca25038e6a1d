{{ config(materialized='view') }}

with

parts as (
    select * from {{ ref('silver_allocation_days') }}
),

definitions as (
    select * from {{ ref('definition_notes') }}
),

{{ job_measures('parts') }}

select
    job_measures.cluster_id,
    job_measures.job_id,
    definitions.definition,
    {{ definition_figures() }},
    definitions.note
from job_measures
cross join definitions
