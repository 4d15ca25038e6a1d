{#
    Several laws of one table in one pass: its grain, columns that are never null, and named conditions that every row
    meets. Gives one row per broken law, with the number of rows that break it.
    `rows_of`: 'days', 'jobs', 'gpu_hours' or 'gpu_samples' where a build makes rows again by those; only they are looked at then.
#}
{% test holds(model, grain=[], not_null=[], checks={}, rows_of='all') %}
{%- set of_tested_days = of_tested_days() -%}
{%- set of_tested_jobs = of_tested_jobs() -%}
{%- set of_hours = of_tested_gpu_hours('hour_start_at') -%}
{%- set of_samples = of_tested_gpu_hours('sampled_at') -%}
with

counted as (
    select
        {% if grain -%}
        count(*) - count(distinct {{ row_hash(grain) }}) as grain_is_unique,
        {% endif -%}
        {% for column in not_null -%}
        count(case when {{ column }} is null then 1 end) as {{ column }}_is_not_null,
        {% endfor -%}
        {% for name, condition in checks.items() -%}
        count(case when not ({{ condition }}) then 1 end) as {{ name }},
        {% endfor -%}
        count(*) as all_rows
    from {{ model }}
    where {{ {
        'days': of_tested_days, 'jobs': of_tested_jobs, 'gpu_hours': of_hours,
        'gpu_samples': of_samples, 'all': 'true',
    }[rows_of] }}
    -- No row breaks no law: so whoever knows that there is none need not ask.
    having count(*) > 0
)

{% set laws = (['grain_is_unique'] if grain else []) + checks.keys() | list -%}
{% for column in not_null %}{% do laws.append(column ~ '_is_not_null') %}{% endfor -%}
{% for law in laws -%}
select
    '{{ law }}' as broken_law,
    {{ law }} as broken_rows
from counted
where {{ law }} > 0
{% if not loop.last %}union all
{% endif -%}
{% endfor -%}
{% endtest %}
