{{ config(materialized='ephemeral') }}

-- Tags stand at the job's second id. Of an incremental build only those of touched jobs are read.
with

delivered as (
    select * from {{ ref('int_delivered_group_tags') }}
    where
        {{ in_touched_landings() }}
        {%- if not is_full_build() %}
        and instance_id in (select jobs.instance_id from {{ ref('int_jobs') }} as jobs)
        {%- endif %}
),

beaten as (
    select
        landing_id,
        source_row
    from {{ ref('conflict_rows') }}
    where entity = 'group_tag'
)

select
    delivered.cluster_id,
    delivered.instance_id,
    delivered.recurrence_id,
    delivered.workload_tag,
    delivered.gpu_model_request
from delivered
left join beaten
    on delivered.landing_id = beaten.landing_id
        and delivered.source_row = beaten.source_row
where beaten.landing_id is null
