{#
    Jobs counted by the day of their submission, and the GPU-hours of those who own them: what the marts of waits, failures,
    run times, users and groups share. One definition, one macro.
#}

{#
    Each row once per way of grouping it: all together, by whether GPUs are needed, by GPU model, by size and by user. A null
    value is what the source does not record; a job without GPUs has no GPU model, so it stands as `cpu` there too.
#}
{% macro job_groups(rows) -%}
    select
        counted.*,
        groupings.grouped_by,
        case groupings.grouped_by
            when 'all' then 'all'
            when 'needs_gpu' then case when counted.size_class = 'cpu' then 'cpu' when counted.size_class is not null then 'gpu' end
            when 'gpu_model' then case when counted.size_class = 'cpu' then 'cpu' else counted.gpu_model end
            when 'size_class' then counted.size_class
            else counted.user_id
        end as value
    from {{ rows }} as counted
    cross join (values ('all'), ('needs_gpu'), ('gpu_model'), ('size_class'), ('user')) as groupings (grouped_by)
{%- endmacro %}

{# What became of jobs: names in the published tables, and the status words of each. Together they are all jobs. #}
{% macro job_outcomes() -%}
    {{ return({
        'failed': ['failed', 'timeout', 'node_fail'],
        'succeeded': ['succeeded'],
        'cancelled': ['cancelled'],
        'preempted': ['preempted'],
        'unfinished': ['waiting', 'running'],
    }) }}
{%- endmacro %}

{# Counts of jobs by what became of them; `jobs` is how many a row stands for. #}
{% macro outcome_counts() -%}
    {% for name, statuses in job_outcomes().items() -%}
    cast(sum(case when job_status in ('{{ statuses | join("', '") }}') then jobs else 0 end) as bigint) as jobs_{{ name }},
    {% endfor -%}
    cast(sum(case when job_status = 'unknown' then jobs else 0 end) as bigint) as jobs_status_unknown
{%- endmacro %}

{# A part of a whole; null where the whole is all unknown, so nothing is known of any part. #}
{% macro part_of_known(part, unknown, whole) -%}
    case when {{ unknown }} < {{ whole }} or {{ whole }} = 0 then {{ part }} end
{%- endmacro %}

{#
    GPU-hours held and jobs submitted, per day and owner, as CTEs that end in `owner_days`. An owner without a row of one side had
    none of it, unless the cluster's holdings cannot be told, or it has no submission at all: then that side is null.
#}
{% macro owner_days(held, cohorts, owner) -%}
    {%- set amounts = amounts() + ['failed', 'status_unknown'] -%}
    {%- set counts = ['submitted'] + job_outcomes().keys() | list + ['status_unknown'] -%}
    {%- set keys = ['cluster_id', 'dt'] + owner -%}
cohort_counts as (
    select
        {{ keys | join(', ') }},
        cast(sum(jobs) as bigint) as jobs_submitted,
        {{ outcome_counts() }}
    from {{ cohorts }}
    where dt is not null
    group by {{ keys | join(', ') }}
),

held_and_submitted as (
    select
        {{ keys | join(', ') }},
        {% for name in amounts -%}
        {{ name }}_mgpu_s,
        {% endfor -%}
        {% for name in counts -%}
        cast(null as bigint) as jobs_{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ held }}
    union all
    select
        {{ keys | join(', ') }},
        {% for name in amounts -%}
        cast(null as bigint) as {{ name }}_mgpu_s,
        {% endfor -%}
        {% for name in counts -%}
        jobs_{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from cohort_counts
),

owner_sums as (
    select
        {{ keys | join(', ') }},
        {% for name in amounts -%}
        cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s,
        {% endfor -%}
        {% for name in counts -%}
        cast(sum(jobs_{{ name }}) as bigint) as jobs_{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from held_and_submitted
    group by {{ keys | join(', ') }}
),

accounted as (
    {{ accounted_clusters() }}
),

submitting as (
    select distinct cluster_id
    from cohort_counts
),

owner_days as (
    select
        {% for key in keys -%}
        owner_sums.{{ key }},
        {% endfor -%}
        accounted.is_measured,
        {% for name in amounts -%}
        case when accounted.cluster_id is not null then coalesce(owner_sums.{{ name }}_mgpu_s, 0) end as {{ name }}_mgpu_s,
        {% endfor -%}
        {% for name in counts -%}
        case when submitting.cluster_id is not null then coalesce(owner_sums.jobs_{{ name }}, 0) end
            as jobs_{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from owner_sums
    left join accounted
        on owner_sums.cluster_id = accounted.cluster_id
    left join submitting
        on owner_sums.cluster_id = submitting.cluster_id
)
{%- endmacro %}

{# What is published of a row of `owner_days`. #}
{% macro owner_figures() -%}
    {% for name in amounts() -%}
    {{ published_gpu_h(name) }},
    {% endfor -%}
    {{ efficiency() }},
    {{ part_of_known(gpu_h('failed_mgpu_s'), 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} as failed_gpu_h,
    {{ gpu_h('status_unknown_mgpu_s') }} as status_unknown_gpu_h,
    {{ part_of_known('failed_mgpu_s', 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} / nullif(allocated_mgpu_s, 0)
        as failed_gpu_h_ratio,
    jobs_submitted,
    {% for name in job_outcomes() -%}
    {{ part_of_known('jobs_' ~ name, 'jobs_status_unknown', 'jobs_submitted') }} as jobs_{{ name }},
    {% endfor -%}
    jobs_status_unknown,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_submitted, 0)
        as failed_ratio_of_submitted
{%- endmacro %}

{#
    How long jobs waited, per group: CTEs that end in `wait_figures`. `observed` has one row per job and group with wait_s (null
    where it did not start, or nobody knows when), censored_s (how long it is known to have waited in vain; null for others),
    was_placed and is_open (waiting at the window's end as far as is known).
    The naive figures are over the known waits alone. Kaplan and Meier's estimate has those who never started in it: who
    gave up after an hour says that waits beyond that hour are not seldom. At each wait S falls by the share of those still
    waiting that started then; who gave up at that second was still waiting. A quantile is where S first reaches 1 − q.
#}
{% macro wait_figures(observed, keys) -%}
    {%- set quantiles = {'p50': 0.5, 'p90': 0.9, 'p99': 0.99} -%}
observed_counts as (
    select
        {{ keys | join(', ') }},
        count(*) as jobs_submitted,
        count(case when was_placed then 1 end) as jobs_started,
        count(case when was_placed and started_at is null then 1 end) as jobs_start_unknown,
        count(wait_s) as jobs_with_wait,
        count(case when not was_placed then 1 end) as jobs_never_started,
        count(censored_s) as jobs_censored,
        count(case when is_open then 1 end) as jobs_waiting_at_window_end,
        count(case when submitted_at is null then 1 end) as jobs_without_submission,
        {{ exact_quantiles('wait_s', quantiles.values()) }} as naive,
        {{ exact_mean('wait_s') }} as wait_mean_s
    from {{ observed }}
    group by {{ keys | join(', ') }}
),

moments as (
    select
        {{ keys | join(', ') }},
        coalesce(wait_s, censored_s) as waited_s,
        count(*) as jobs,
        count(wait_s) as starts
    from {{ observed }}
    where coalesce(wait_s, censored_s) is not null
    group by {{ keys | join(', ') }}, coalesce(wait_s, censored_s)
),

at_risk as (
    select
        *,
        sum(jobs) over (
            partition by {{ keys | join(', ') }} order by waited_s desc rows between unbounded preceding and current row
        ) as still_waiting
    from moments
),

survival as (
    select
        *,
        {{ product_of('cast(still_waiting - starts as double) / still_waiting') }} over (
            partition by {{ keys | join(', ') }} order by waited_s asc rows between unbounded preceding and current row
        ) as not_started_ratio
    from at_risk
),

estimates as (
    select
        {{ keys | join(', ') }},
        {% for name, share in quantiles.items() -%}
        min(case when starts > 0 and not_started_ratio <= {{ 1 - share }} + 1e-9 then waited_s end) as km_{{ name }}_s{{ ',' if not loop.last }}
        {% endfor %}
    from survival
    group by {{ keys | join(', ') }}
),

wait_figures as (
    select
        observed_counts.*,
        {% for name in quantiles -%}
        {{ list_place('observed_counts.naive', loop.index) }} as wait_{{ name }}_s,
        estimates.km_{{ name }}_s{{ ',' if not loop.last }}
        {% endfor %}
    from observed_counts
    left join estimates
        on {% for key in keys -%}
        observed_counts.{{ key }} is not distinct from estimates.{{ key }}
            {{ 'and ' if not loop.last }}
        {%- endfor %}
)
{%- endmacro %}

{# Jobs as `wait_figures` observes them: who never started is censored at its end, else at the end of its cluster's window. #}
{% macro observed_waits(jobs, days) -%}
    select
        jobs.*,
        case when not jobs.was_placed then
            {{ seconds_between('jobs.submitted_at', 'coalesce(jobs.ended_at, windows.ends_at)') }}
        end as censored_s,
        not jobs.was_placed and jobs.submitted_at is not null and jobs.ended_at is null as is_open
    from {{ jobs }} as jobs
    left join (
        select
            cluster_id,
            max(ends_at) as ends_at
        from {{ days }}
        group by cluster_id
    ) as windows
        on jobs.cluster_id = windows.cluster_id
{%- endmacro %}

{# Failures of groups of jobs, from rows of silver_job_cohorts: CTEs that end in `failure_figures`. #}
{% macro failure_figures(cohorts, keys) -%}
grouped as (
    {{ job_groups(cohorts) }}
),

outcomes as (
    select
        {{ keys | join(', ') }},
        cast(sum(jobs) as bigint) as jobs_submitted,
        cast(sum(placed_jobs) as bigint) as jobs_started,
        cast(sum(case when dt is null then jobs else 0 end) as bigint) as jobs_without_submission,
        {{ outcome_counts() }},
        cast(sum(case when {{ is_failed('job_status') }} then placed_jobs else 0 end) as bigint) as jobs_failed_started,
        cast(sum(allocated_mgpu_s) as bigint) as allocated_mgpu_s,
        cast(sum(case when {{ is_failed('job_status') }} then allocated_mgpu_s end) as bigint) as failed_mgpu_s,
        cast(sum(case when job_status = 'unknown' then allocated_mgpu_s end) as bigint) as status_unknown_mgpu_s
    from grouped
    group by {{ keys | join(', ') }}
),

accounted as (
    {{ accounted_clusters() }}
),

failure_figures as (
    select
        {% for key in keys -%}
        outcomes.{{ key }},
        {% endfor -%}
        outcomes.jobs_submitted,
        outcomes.jobs_started,
        outcomes.jobs_without_submission,
        outcomes.jobs_failed + outcomes.jobs_succeeded + outcomes.jobs_cancelled + outcomes.jobs_preempted as jobs_finished,
        {% for name in job_outcomes() -%}
        outcomes.jobs_{{ name }},
        {% endfor -%}
        outcomes.jobs_status_unknown,
        outcomes.jobs_failed_started,
        {% for name in ['allocated', 'failed', 'status_unknown'] -%}
        case when accounted.cluster_id is not null then coalesce(outcomes.{{ name }}_mgpu_s, 0) end
            as {{ name }}_mgpu_s{{ ',' if not loop.last }}
        {% endfor %}
    from outcomes
    left join accounted
        on outcomes.cluster_id = accounted.cluster_id
)
{%- endmacro %}

{# What is published of a row of `failure_figures`. #}
{% macro failure_columns() -%}
    jobs_submitted,
    jobs_started,
    {% for name in ['finished'] + job_outcomes().keys() | list -%}
    {{ part_of_known('jobs_' ~ name, 'jobs_status_unknown', 'jobs_submitted') }} as jobs_{{ name }},
    {% endfor -%}
    jobs_status_unknown,
    {{ part_of_known('jobs_failed', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_submitted, 0)
        as failed_ratio_of_submitted,
    {{ part_of_known('jobs_failed_started', 'jobs_status_unknown', 'jobs_submitted') }} / nullif(jobs_started, 0)
        as failed_ratio_of_started,
    jobs_failed / nullif(jobs_finished, 0) as failed_ratio_of_finished,
    {{ gpu_h('allocated_mgpu_s') }} as allocated_gpu_h,
    {{ part_of_known(gpu_h('failed_mgpu_s'), 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} as failed_gpu_h,
    {{ gpu_h('status_unknown_mgpu_s') }} as status_unknown_gpu_h,
    {{ part_of_known('failed_mgpu_s', 'status_unknown_mgpu_s', 'allocated_mgpu_s') }} / nullif(allocated_mgpu_s, 0)
        as failed_gpu_h_ratio
{%- endmacro %}
