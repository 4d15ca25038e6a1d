{#
    What data tests look at, as conditions on their rows. After a full build, and now and then (GPULAKE_TESTED=everything), all
    rows; else those that the build made again (GPULAKE_TESTED=touched). Tables that a build fills anew are tested whole.
#}
{% macro tests_everything() -%}
    {{ return(env_var('GPULAKE_TESTED', 'everything') == 'everything') }}
{%- endmacro %}

{# `of` names the relation, `day` its column where that is not dt. #}
{% macro of_tested_days(of='', day='dt') -%}
    {% if tests_everything() -%}
    true
    {%- else -%}
    {{ of ~ day }} in ({{ asked_first('select distinct dt from ' ~ as_it_was('due_days', 'meta')) }})
        and ({{ of }}cluster_id, {{ of ~ day }}) in (select (cluster_id, dt) from {{ as_it_was('due_days', 'meta') }})
    {%- endif %}
{%- endmacro %}

{# Of rows that a build makes again by hours of GPUs. `hour` is when a row begins. #}
{% macro of_tested_gpu_hours(hour) -%}
    {% if tests_everything() -%}
    true
    {%- else -%}
        {%- set touched = as_it_was('touched_gpu_hours', 'meta') -%}
    {{ hour }} between ({{ asked_first('select min(hour_start_at) - interval 1 hour from ' ~ touched) }})
        and ({{ asked_first('select max(hour_start_at) + interval 1 hour from ' ~ touched) }})
    {%- endif %}
{%- endmacro %}

{% macro of_tested_jobs() -%}
    {% if tests_everything() -%}
    true
    {%- else -%}
    job_id in (select job_id from {{ as_it_was('due_jobs', 'meta') }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ as_it_was('due_jobs', 'meta') }})
    {%- endif %}
{%- endmacro %}
