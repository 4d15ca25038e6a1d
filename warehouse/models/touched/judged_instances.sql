{{ config(materialized='incremental', pre_hook="{{ delete_touched_jobs() }}") }}

-- Rows of one key are looked for among the rows of one attempt; where no attempt is named and a time is missing, among
-- rows that are alike. Either is looked for by a hash first: few have several rows.
{%- set is_timed = 'started_at is not null and ended_at is not null' %}
{%- set attempt_hash %}
case
    when attempt_id is not null or {{ is_timed }} then {{ row_hash(['job_id', 'attempt_id']) }}
    else {{ row_hash(['job_id', 'task_id', 'instance_id', 'started_at', 'ended_at']) }}
end
{%- endset %}

with

repeated as (
    select {{ attempt_hash }} as attempt_hash
    from {{ ref('int_delivered_instances') }}
    where {{ delivered_of_touched_jobs() }}
    group by attempt_hash
    having count(*) > 1
),

rows_of_repeated as (
    select
        *,
        {{ is_timed }} as is_timed
    from {{ ref('int_delivered_instances') }}
    where {{ delivered_of_touched_jobs() }} and {{ attempt_hash }} in (select repeated.attempt_hash from repeated)
),

placed as (
    select
        *,
        row_number() over best_first = 1 as stands,
        row_text = first_value(row_text) over best_first as is_equal
    from rows_of_repeated
    window best_first as (
        partition by cluster_id, job_id, task_id, instance_id, attempt_id, started_at, ended_at
        order by landing_no desc, row_text desc, source_row desc
    )
)

-- A sensor that names an attempt measures one row of it: the longest, then the one that started last.
select
    cluster_id,
    job_id,
    landing_id,
    landing_no,
    source_row,
    stands,
    is_equal,
    stands and is_timed and row_number() over (
        partition by cluster_id, job_id, attempt_id, stands, is_timed
        order by ended_at - started_at desc, started_at desc, row_text desc, landing_no asc, source_row asc
    ) = 1 as is_measured
from placed
