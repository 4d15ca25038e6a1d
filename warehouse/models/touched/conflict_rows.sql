{{ config(materialized='incremental') }}

with

losers as (
    {%- for entity, keys in entity_keys().items() %}
    {%- set delivered = ref('int_delivered_' ~ entity ~ 's') %}
    {%- set times = entity_times()[entity] | default(['cast(null as timestamp)']) %}
    {%- set looked_through = keys.get('only', 'true') ~ ' and ' ~ keys.again %}
    {%- set repeated %}
    select {{ row_hash(keys.narrow) }} as row_hash
    from {{ delivered }}
    where {{ looked_through }}
    group by row_hash
    having count(*) > 1
    {%- endset %}
    select
        '{{ entity }}' as entity,
        {{ 'cluster_id' if 'cluster_id' in keys.key else 'cast(null as varchar)' }} as cluster_id,
        landing_id,
        source_row,
        least({{ times | join(', ') }}) as first_event_at,
        greatest({{ times | join(', ') }}) as last_event_at,
        row_text = winner_text as is_equal
    from (
        select
            *,
            row_number() over best_first as place,
            first_value(row_text) over best_first as winner_text
        from {{ delivered }}
        where
            {{ looked_through }}
            and {{ row_hash(keys.narrow) }} in ({{ asked_where_few(repeated) }})
        window best_first as (
            partition by {{ keys.key | join(', ') }}
            order by landing_no desc, known_fields desc, row_text desc, source_row desc
        )
    ) as ranked
    where place > 1
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    losers.entity,
    losers.cluster_id,
    losers.landing_id,
    losers.source_row,
    losers.first_event_at,
    losers.last_event_at,
    losers.is_equal
from losers
{%- if not is_full_build() %}
left join {{ this }} as known
    on losers.entity = known.entity
        and losers.landing_id = known.landing_id
        and losers.source_row = known.source_row
where known.landing_id is null
{%- endif %}
