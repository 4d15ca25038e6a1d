{{ config(materialized='ephemeral') }}

-- What is known of each kind and code; of several decisions the last one stands.
select
    'xid' as kind,
    cast(code as bigint) as code,
    {{ last_by('class', 'decided_on') }} as event_class,
    {{ last_by('severity', 'decided_on') }} as severity,
    {{ last_by("coalesce(symbol, '')", 'decided_on') }} as symbol,
    {{ last_by("coalesce(action, '')", 'decided_on') }} as to_be_done
from {{ ref('xid_catalogue') }}
group by code
union all
select
    kind,
    cast(null as bigint) as code,
    {{ last_by('class', 'decided_on') }} as event_class,
    {{ last_by('severity', 'decided_on') }} as severity,
    '' as symbol,
    {{ last_by('action', 'decided_on') }} as to_be_done
from {{ ref('event_kinds') }}
group by kind
