with

tags as (
    select * from {{ source('bronze', 'bronze_group_tag_table') }}
),

landings as (
    select * from {{ source('meta', 'landings') }}
)

select
    landings.cluster_id,
    tags.inst_id as instance_id,
    tags."user" as user_id,
    tags.gpu_type_spec as gpu_model_request,
    tags."group" as recurrence_id,
    tags.workload as workload_tag,
    {{ row_text(['inst_id', '"user"', 'gpu_type_spec', '"group"', 'workload']) }} as row_text,
    landings.source,
    landings.landing_no,
    tags.landing_id,
    tags.source_row
from tags
inner join landings
    on tags.landing_id = landings.landing_id
