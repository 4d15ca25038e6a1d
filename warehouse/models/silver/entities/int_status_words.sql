{{ config(materialized='ephemeral') }}

-- Of several decisions on a word the last one stands.
select
    source,
    status_source,
    {{ last_by('job_status', 'decided_on') }} as job_status
from {{ ref('status_map') }}
group by source, status_source
