{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

-- Rows of one key are looked for among the rows of one attempt, or of one instance where no attempt is named; where neither
-- is, among rows that are alike. Either is looked for by a hash first, asked for ahead: few have several rows, often none,
-- and of those alone a text is made.
{%- set is_timed = 'started_at is not null and ended_at is not null' %}
{%- set is_named = 'coalesce(attempt_id, instance_id) is not null' %}
{%- set attempt_hash %}
case
    when attempt_id is not null then {{ row_hash(['job_id', 'attempt_id']) }}
    when instance_id is not null then {{ row_hash(['job_id', 'task_id', 'instance_id']) }}
    else {{ row_hash(['job_id', 'task_id', 'started_at', 'ended_at']) }}
end
{%- endset %}
{%- set repeated %}
select {{ attempt_hash }} as attempt_hash
from {{ ref('int_delivered_instances') }}
where {{ delivered_of_touched_jobs() }}
group by attempt_hash
having count(*) > 1
{%- endset %}

with

rows_of_repeated as (
    select
        *,
        {{ is_timed }} as is_timed,
        case when not {{ is_named }} then ended_at end as unnamed_ended_at
    from {{ ref('int_delivered_instances') }}
    where {{ delivered_of_touched_jobs() }} and {{ attempt_hash }} in ({{ asked_where_few(repeated) }})
),

-- Of rows with one key the later landing's stands, so a corrected end replaces the old one. A row without a start gives way
-- to any later landing's row of its attempt. Who is not named may be anybody: such rows are one where they are alike.
placed as (
    select
        *,
        row_number() over best_first as place,
        row_text = first_value(row_text) over best_first as is_like_first,
        started_at is null and {{ is_named }} and landing_no < max(landing_no) over (
            partition by cluster_id, job_id, task_id, instance_id, attempt_id
        ) as has_given_way
    from rows_of_repeated
    window best_first as (
        partition by cluster_id, job_id, task_id, instance_id, attempt_id, started_at, unnamed_ended_at
        order by landing_no desc, known_fields desc, row_text desc, source_row desc
    )
),

judged as (
    select
        *,
        place = 1 and not has_given_way as stands,
        is_like_first and not has_given_way as is_equal
    from placed
)

-- A sensor that names an attempt measures one row of it: the longest, then the one that started last.
select
    cluster_id,
    job_id,
    landing_id,
    landing_no,
    source_row,
    least(started_at, ended_at) as first_event_at,
    greatest(started_at, ended_at) as last_event_at,
    stands,
    is_equal,
    stands and is_timed and row_number() over (
        partition by cluster_id, job_id, attempt_id, stands, is_timed
        order by ended_at - started_at desc, started_at desc, row_text desc, landing_no asc, source_row asc
    ) = 1 as is_measured
from judged
