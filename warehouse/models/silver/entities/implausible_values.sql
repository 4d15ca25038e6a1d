{{ config(materialized='incremental', schema='meta', pre_hook="{{ delete_judged_amounts() }}") }}

-- What silver has left out of the rows that stand. A delivery of machines or of GPU models has everything built in full, so
-- theirs are looked for only then.
{%- set judged = {
    'task': ref('int_tasks'), 'usage': ref('int_usage'), 'machine_window': ref('int_new_machine_windows'),
    'machine': ref('int_machines'), 'gpu_model': ref('int_gpu_models'),
} %}

with

left_out as (
    {%- for entity, relation in judged.items() %}
    {%- set amounts = measured_amounts()[entity] %}
    select
        '{{ entity }}' as entity,
        {{ 'judged.job_id' if entity in ['task', 'usage'] else 'cast(null as varchar)' }} as job_id,
        amounts.column_name,
        case amounts.column_name
            {%- for column, kind in amounts.items() %}
            when '{{ column }}' then case
                when judged.delivered_{{ column }} < 0 then 'below 0'
                {%- if kind.mean %}
                when judged.delivered_{{ column }} < judged.{{ kind.mean }} then 'below its mean'
                {%- endif %}
                else 'above {{ kind.above }}'
            end
            {%- endfor %}
        end as bound,
        case amounts.column_name
            {%- for column in amounts %}
            when '{{ column }}'
                then case when judged.{{ column }} is null then cast(judged.delivered_{{ column }} as double) end
            {%- endfor %}
        end as delivered_value,
        judged.landing_id,
        judged.source_row
    from {{ relation }} as judged
    cross join (
        values
        {%- for column in amounts %}
        ('{{ column }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as amounts (column_name)
    where
        {{ 'true' if is_full_build() or entity not in ['machine', 'gpu_model'] else 'false' }}
        and (
            {%- for column in amounts %}
            {{ 'or ' if not loop.first }}(judged.{{ column }} is null and judged.delivered_{{ column }} is not null)
            {%- endfor %}
        )
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    entity,
    job_id,
    column_name,
    delivered_value,
    column_name || ' is implausible: ' || bound as reason,
    landing_id,
    source_row
from left_out
where delivered_value is not null
