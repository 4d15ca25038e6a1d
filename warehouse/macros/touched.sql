{# Days that spans cover: one row per entity, cluster and day. A span without an end, or without a start, touches the day of
   the time it has. Counting open spans at quarter hours keeps this linear in the rows. #}
{% macro days_of_spans(entity, rows, start, end) -%}
    select distinct
        '{{ entity }}' as entity,
        days.cluster_id,
        days.dt
    from (
        select
            cluster_id,
            quarter,
            lead(quarter) over (partition by cluster_id order by quarter) as next_quarter,
            sum(step) over (partition by cluster_id order by quarter) as open_spans
        from (
            select
                cluster_id,
                quarter,
                sum(step) as step
            from (
                select
                    spans.cluster_id,
                    case
                        when borders.sign = 1 then {{ quarter_of('least(spans.' ~ start ~ ', spans.' ~ end ~ ')') }}
                        else {{ quarter_of('greatest(spans.' ~ start ~ ', spans.' ~ end ~ ')') }} + 1
                    end as quarter,
                    borders.sign as step
                from ({{ rows }}) as spans
                cross join (values (1), (-1)) as borders (sign)
            ) as steps
            where quarter is not null
            group by cluster_id, quarter
        ) as stepped
    ) as stretches
    inner join {{ ref('silver_days') }} as days
        on stretches.cluster_id = days.cluster_id
            and stretches.quarter < {{ quarter_of('days.ends_at') }}
            and stretches.next_quarter > {{ quarter_of('days.starts_at') }}
    where stretches.open_spans > 0
{%- endmacro %}

{# Rows of the pending landings. Where the caller names those (GPULAKE_PENDING), all other files are skipped by it. #}
{% macro pending_only() -%}
    {%- set named = env_var('GPULAKE_PENDING', '') -%}
    landing_id in ({{ "'" ~ named.replace(',', "', '") ~ "'" if named else pending_landings() }})
{%- endmacro %}

{# Jobs that a pending row names. #}
{% macro pending_jobs(entity) -%}
    select
        cluster_id,
        job_id
    from ({{ union_staging(entity, ['cluster_id', 'job_id'], pending_only()) }}) as pending
    where job_id is not null
{%- endmacro %}

{# Hooks and conditions of incremental models. #}
{% macro delete_touched_days(entity) -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ touched_days_only(entity) }}
    {%- endif %}
{%- endmacro %}

{# The time range of the touched days, read when the model is compiled: constants let files be skipped. #}
{% macro within_touched_range(entity, start, end) -%}
    {%- if is_incremental() and execute -%}
        {%- set bounds = run_query(
            "select min(days.starts_at), max(days.ends_at) from " ~ ref('touched_days') ~ " as touched inner join "
            ~ ref('silver_days') ~ " as days on touched.cluster_id = days.cluster_id and touched.dt = days.dt "
            ~ "where touched.entity = '" ~ entity ~ "'"
        ).rows[0] -%}
        {%- if bounds[0] is none -%}
    false
        {%- else -%}
    {{ end }} > timestamp '{{ bounds[0] }}' and {{ start }} < timestamp '{{ bounds[1] }}'
        {%- endif -%}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{# Rows that the pending landings replace: their own, left by a build that was not published, and those that lost. #}
{% macro delete_replaced_rows(entity) -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ pending_only() }}
        or (landing_id, source_row) in (
            select (landing_id, source_row) from {{ ref('conflict_rows') }} where entity = '{{ entity }}'
        )
    {%- endif %}
{%- endmacro %}

{#
    Rows of touched jobs, of touched days. The first condition is on one column, so that files and rows are skipped by it;
    the second says exactly which rows are meant. The reference stands outside the condition, so that the graph knows it:
    dbt reads a model once before it can be incremental.
#}
{% macro touched_jobs_only() -%}
    {%- set touched_jobs = ref('touched_jobs') -%}
    {% if is_incremental() -%}
    job_id in (select job_id from {{ touched_jobs }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ touched_jobs }})
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}

{% macro of_touched_jobs() -%}
    job_id in (select job_id from {{ ref('touched_jobs') }})
        and (cluster_id, job_id) in (select (cluster_id, job_id) from {{ ref('touched_jobs') }})
{%- endmacro %}

{% macro delete_touched_jobs() -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ touched_jobs_only() }}
    {%- endif %}
{%- endmacro %}

{# A touched job's parts lie on the days of its spans, which a key never loses: only those days' files are read. #}
{% macro delete_touched_allocations() -%}
    {%- set touched_days = ref('touched_days') -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where dt in (select dt from {{ touched_days }} where entity = 'allocation')
        and {{ touched_jobs_only() }}
    {%- endif %}
{%- endmacro %}

{% macro touched_days_only(entity) -%}
    {%- set touched_days = ref('touched_days') -%}
    {% if is_incremental() -%}
    dt in (select dt from {{ touched_days }} where entity = '{{ entity }}')
        and (cluster_id, dt) in (select (cluster_id, dt) from {{ touched_days }} where entity = '{{ entity }}')
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}

{# Cohorts of a submission day that a touched job is or was of; jobs of no known day are one cohort, always built again. #}
{% macro touched_cohorts_only() -%}
    {{ touched_days_only('job') }}
    {%- if is_incremental() %}
        or dt is null
    {%- endif %}
{%- endmacro %}

{% macro delete_touched_cohorts() -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ touched_cohorts_only() }}
    {%- endif %}
{%- endmacro %}

{#
    Days of submission whose waits may read otherwise now: those of touched jobs, and those with a job that still waited at the
    window's end when they were built, since a longer window has it wait longer.
#}
{% macro delete_touched_waits() -%}
    {%- set touched = touched_days_only('job') -%}
    {% if is_incremental() -%}
    delete from {{ this }}
    where {{ touched }}
        or (cluster_id, dt) in (select (cluster_id, dt) from {{ this }} where jobs_waiting_at_window_end > 0)
    {%- endif %}
{%- endmacro %}

{# After the touched rows are deleted: what a table lacks. #}
{% macro not_yet_here(key) -%}
    {% if is_incremental() -%}
    ({{ key }}) not in (select ({{ key }}) from {{ this }})
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}

{# Jobs that a pending tag names, by the job's second id. #}
{% macro pending_tagged_jobs() -%}
    select
        jobs.cluster_id,
        jobs.job_id
    from ({{ union_staging('job', ['cluster_id', 'job_id', 'instance_id']) }}) as jobs
    inner join ({{ union_staging('group_tag', ['cluster_id', 'instance_id'], pending_only()) }}) as tags
        on jobs.cluster_id = tags.cluster_id
            and jobs.instance_id = tags.instance_id
{%- endmacro %}
