{#
    What a build reads again. A full build reads everything; any other one what the pending landings touch, as the tables of
    models/touched say. Each condition is on columns of the row it stands at, and true in a full build.
    Which of the two it is stands in one flag, not in whether a table is there: so a model's private parts know it too.
#}
{% macro is_full_build() -%}
    {{ return(flags.FULL_REFRESH) }}
{%- endmacro %}

{# A table of the lake as the build before left it, without an edge in the graph: who reads it may stand before its model. #}
{% macro as_it_was(name, schema='main') -%}
    {{ return(api.Relation.create(database=target.database, schema=schema, identifier=name)) }}
{%- endmacro %}

{#
    A query of one column whose values gpulake asks for once, and puts in its place: constants let files be skipped. Where they
    are too many, and to whoever runs the statement as it is, the query stands there as any other.
#}
{% macro asked_first(query) -%}
    /*asked first*/ {{ query }} /*:asked first*/
{%- endmacro %}

{# The same, but for a full build: there its values are many, and the query would run twice. #}
{% macro asked_where_few(query) -%}
    {{ query if is_full_build() else asked_first(query) }}
{%- endmacro %}

{# ---------------------------------------------------------------------- landings #}

{# Landings that no publication holds yet: what an incremental build must take in. #}
{% macro pending_landings() -%}
    select landings.landing_id
    from {{ source('meta', 'landings') }} as landings
    left join {{ source('meta', 'published_landings') }} as published
        on landings.landing_id = published.landing_id
    where published.landing_id is null
{%- endmacro %}

{# Rows of the pending landings. #}
{% macro pending_only() -%}
    landing_id in ({{ asked_first(pending_landings()) }})
{%- endmacro %}

{# Rows that no build has taken in yet: all of them in a full build. #}
{% macro of_new_landings() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    {{ pending_only() }}
    {%- endif %}
{%- endmacro %}

{# ---------------------------------------------------------------------- jobs #}

{# Rows of landings that hold rows of touched jobs, or their tags: no other file of the history is read. #}
{% macro in_touched_landings() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    landing_id in ({{ asked_first('select landing_id from ' ~ ref('touched_landings')) }})
    {%- endif %}
{%- endmacro %}

{#
    Delivered rows of touched jobs, wherever they were delivered. The first conditions are on one column each, so that files
    and rows are skipped by them; the last says exactly which rows are meant. dbt parses a model as one that is not
    built in full, so the graph knows these references.
#}
{% macro delivered_of_touched_jobs() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    {{ in_touched_landings() }}
        and job_id in (select job_id from {{ ref('touched_jobs') }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ ref('touched_jobs') }})
    {%- endif %}
{%- endmacro %}

{# Rows of touched jobs in a table that is built already. #}
{% macro of_touched_jobs() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    job_id in (select job_id from {{ ref('touched_jobs') }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ ref('touched_jobs') }})
    {%- endif %}
{%- endmacro %}

{# Rows of jobs whose row of gold_jobs is due: a pending landing names them, or a day of theirs is shared out anew. #}
{% macro of_due_jobs() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    job_id in (select job_id from {{ ref('due_jobs') }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ ref('due_jobs') }})
    {%- endif %}
{%- endmacro %}

{#
    Rows of due jobs, on the days on which they can have held anything. A job that the job table lacks may have held something
    on any day.
#}
{% macro of_due_jobs_on_their_days() -%}
    {{ of_due_jobs() }}
    {%- if not is_full_build() %}
        and dt between ({{ asked_first(
            "select case when count(*) filter (where not is_known) = 0 then cast(min(first_seen_at) as date) - 1 else date '0001-01-01' end from " ~ ref('due_jobs')
        ) }})
        and ({{ asked_first(
            "select case when count(*) filter (where not is_known) = 0 then cast(max(last_seen_at) as date) + 1 else date '9999-12-31' end from " ~ ref('due_jobs')
        ) }})
    {%- endif -%}
{%- endmacro %}

{# ---------------------------------------------------------------------- days #}

{# Rows of days that an entity's pending rows touch: 'job' (submissions), 'machine_window' or 'allocation'. #}
{% macro of_touched_days(entity) -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    dt in (select dt from {{ ref('touched_days') }} where entity = '{{ entity }}')
        and (cluster_id, dt) in (select (cluster_id, dt) from {{ ref('touched_days') }} where entity = '{{ entity }}')
    {%- endif %}
{%- endmacro %}

{# Rows of days whose figures are due: touched in any way, new in the window, or of a cluster with news. #}
{% macro of_due_days() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    dt in (select dt from {{ ref('due_days') }}) and (cluster_id, dt) in (select (cluster_id, dt) from {{ ref('due_days') }})
    {%- endif %}
{%- endmacro %}

{# The same, and of the day before each: what a figure was before it changed. #}
{% macro of_due_days_or_before() -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
        {%- set days -%}
        from {{ ref('due_days') }} cross join (values (0), (1)) as steps (step)
        {%- endset -%}
    dt in (select cast(dt - step * interval 1 day as date) {{ days }})
        and (cluster_id, dt) in (select (cluster_id, cast(dt - step * interval 1 day as date)) {{ days }})
    {%- endif %}
{%- endmacro %}

{# Cohorts of a submission day that a touched job is or was of; jobs of no known day are one cohort, always built again. #}
{% macro of_touched_cohorts() -%}
    ({{ of_touched_days('job') }} or dt is null)
{%- endmacro %}

{# Rows of the time range of the touched days, and of so many hours on both sides. #}
{% macro within_touched_range(entity, start, end, reach_h=0) -%}
    {%- if is_full_build() -%}
    true
    {%- else -%}
        {%- set touched_days -%}
        from {{ ref('touched_days') }} as touched
        inner join {{ ref('silver_days') }} as days on touched.cluster_id = days.cluster_id and touched.dt = days.dt
        where touched.entity = '{{ entity }}'
        {%- endset -%}
    {{ end }} > ({{ asked_first('select min(days.starts_at) - interval ' ~ reach_h ~ ' hour ' ~ touched_days) }})
        and {{ start }} < ({{ asked_first('select max(days.ends_at) + interval ' ~ reach_h ~ ' hour ' ~ touched_days) }})
    {%- endif -%}
{%- endmacro %}

{# Rows of the time range of the pending samples of GPUs, and of so many hours on both sides. #}
{% macro within_pending_samples(moment, reach_h=0) -%}
    {%- set pending_samples = 'from ' ~ ref('int_delivered_gpu_samples') ~ ' where ' ~ pending_only() -%}
    {{ moment }} between ({{ asked_first('select min(sampled_at) - interval ' ~ reach_h ~ ' hour ' ~ pending_samples) }})
        and ({{ asked_first('select max(sampled_at) + interval ' ~ reach_h ~ ' hour ' ~ pending_samples) }})
{%- endmacro %}

{# Rows of the days of UTC whose usual steps pending samples of GPUs may change or need, and of so many hours after them. #}
{% macro in_reached_days(moment, reach_h=0) -%}
    {{ moment }} >= ({{ asked_first('select min(first_day_at) from ' ~ ref('reached_gpu_hours')) }})
        and {{ moment }} < ({{ asked_first('select max(end_day_at) + interval ' ~ reach_h ~ ' hour from ' ~ ref('reached_gpu_hours')) }})
{%- endmacro %}

{# Rows of hours that pending samples of GPUs bear on. An hour of a zone may lie in two of UTC. #}
{% macro of_touched_gpu_hours(cluster='cluster_id', hour_start='hour_start_at') -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    {{ hour_start }} between ({{ asked_first('select min(hour_start_at) - interval 1 hour from ' ~ ref('touched_gpu_hours')) }})
        and ({{ asked_first('select max(hour_start_at) from ' ~ ref('touched_gpu_hours')) }})
        and (
            ({{ cluster }}, {{ hour_of(hour_start) }}) in (select (cluster_id, hour_start_at) from {{ ref('touched_gpu_hours') }})
            or ({{ cluster }}, {{ hour_of(hour_start ~ ' + interval 3599 second') }}) in (
                select (cluster_id, hour_start_at) from {{ ref('touched_gpu_hours') }}
            )
        )
    {%- endif %}
{%- endmacro %}

{# Samples that those hours are made of: from the last one before them, and for a day after, since a mean speaks of what was. #}
{% macro of_touched_samples(sampled_at) -%}
    {%- if is_full_build() -%}
    true
    {%- else -%}
    {{ sampled_at }} >= ({{ asked_first('select min(reads_from_at) from ' ~ ref('touched_gpu_hours')) }})
        and {{ sampled_at }} < ({{ asked_first('select max(hour_start_at) + interval 26 hour from ' ~ ref('touched_gpu_hours')) }})
    {%- endif -%}
{%- endmacro %}

{# Samples of the days of touched jobs, and of the day before their first: borders need the one before. #}
{% macro in_sampled_range(sampled_at) -%}
    {%- if is_full_build() -%}
    true
    {%- else -%}
        {%- set touched_days -%}
        from {{ ref('touched_days') }} as touched
        inner join {{ ref('silver_days') }} as days on touched.cluster_id = days.cluster_id and touched.dt = days.dt
        where touched.entity in ('machine_window', 'allocation')
        {%- endset -%}
    {{ sampled_at }} > ({{ asked_first('select min(days.starts_at) - interval 49 hour ' ~ touched_days) }})
        and {{ sampled_at }} < ({{ asked_first('select max(days.ends_at) + interval 25 hour ' ~ touched_days) }})
    {%- endif -%}
{%- endmacro %}

{# ---------------------------------------------------------------------- hooks: what is built again is deleted first #}

{% macro delete_rows(condition) -%}
    {% if not is_full_build() -%}
    delete from {{ this }}
    where {{ condition }}
    {%- endif %}
{%- endmacro %}

{% macro delete_touched_jobs() %}{{ delete_rows(of_touched_jobs()) }}{% endmacro %}
{% macro delete_touched_days(entity) %}{{ delete_rows(of_touched_days(entity)) }}{% endmacro %}
{% macro delete_touched_cohorts() %}{{ delete_rows(of_touched_cohorts()) }}{% endmacro %}
{% macro delete_due_days() %}{{ delete_rows(of_due_days()) }}{% endmacro %}
{% macro delete_due_jobs() %}{{ delete_rows(of_due_jobs()) }}{% endmacro %}

{% macro delete_touched_gpu_hours() %}{{ delete_rows(of_touched_gpu_hours()) }}{% endmacro %}

{# Samples of pending landings, left by a build that was not published, and those that lost to one of theirs. #}
{% macro delete_replaced_samples() -%}
    {%- if not is_full_build() -%}
    {{ delete_rows(
        within_pending_samples('sampled_at') ~ ' and (' ~ pending_only()
        ~ ' or (landing_id, source_row) in (select (landing_id, source_row) from ' ~ ref('beaten_gpu_samples') ~ '))'
    ) }}
    {%- endif -%}
{%- endmacro %}

{# A touched job's parts lie on the days of its spans, which a key never loses: only those days' files are read. #}
{% macro delete_touched_allocations() -%}
    {%- if not is_full_build() -%}
    {{ delete_rows('dt in (select dt from ' ~ ref('touched_days') ~ " where entity = 'allocation') and " ~ of_touched_jobs()) }}
    {%- endif -%}
{%- endmacro %}

{#
    Days of submission whose waits may read otherwise now: those that are due, and those with a job that still waited at the
    window's end when they were built, since a longer window has it wait longer.
#}
{% macro delete_due_waits() -%}
    {{ delete_rows(
        of_due_days() ~ ' or (cluster_id, dt) in (select (cluster_id, dt) from ' ~ this ~ ' where jobs_waiting_at_window_end > 0)'
    ) }}
{%- endmacro %}

{# Rows that the pending landings replace: their own, left by a build that was not published, and those that lost. #}
{% macro delete_replaced_rows(entity) -%}
    {%- if not is_full_build() -%}
    {{ delete_rows(
        pending_only() ~ ' or (landing_id, source_row) in (select (landing_id, source_row) from ' ~ ref('conflict_rows')
        ~ " where entity = '" ~ entity ~ "')"
    ) }}
    {%- endif -%}
{%- endmacro %}

{# Amounts of rows that are judged again: of pending landings and touched jobs, and of rows that another one stands for now. #}
{% macro delete_judged_amounts() -%}
    {%- if not is_full_build() -%}
    {{ delete_rows(
        pending_only() ~ ' or job_id in (select job_id from ' ~ ref('touched_jobs') ~ ')'
        ~ ' or (landing_id, source_row) in (select (landing_id, source_row) from ' ~ ref('conflict_rows') ~ ')'
    ) }}
    {%- endif -%}
{%- endmacro %}

{# After the rows that are due are deleted: what a table lacks. `table` is this model's own, also where a part of it asks. #}
{% macro not_yet_in(table, key) -%}
    {% if is_full_build() -%}
    true
    {%- else -%}
    ({{ key }}) not in (select ({{ key }}) from {{ as_it_was(table) }})
    {%- endif %}
{%- endmacro %}
