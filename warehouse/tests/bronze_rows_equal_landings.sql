-- Every accepted row is in bronze once: rows of a bronze table = Σ rows_kept of the landings that went into it.
with

landed as (
    select
        bronze_table,
        sum(rows_kept) as rows_kept
    from {{ source('meta', 'landings') }}
    group by bronze_table
),

held as (
    {% for table in [
        'bronze_job_events', 'bronze_task_table', 'bronze_instance_table', 'bronze_sensor_table', 'bronze_group_tag_table',
        'bronze_machine_spec', 'bronze_machine_metrics', 'bronze_gpu_specs',
    ] -%}
    select
        '{{ table }}' as bronze_table,
        count(*) as rows_held
    from {{ source('bronze', table) }}
    {% if not loop.last %}union all
    {% endif -%}
    {% endfor %}
)

select
    held.bronze_table,
    held.rows_held,
    coalesce(landed.rows_kept, 0) as rows_kept
from held
left join landed
    on held.bronze_table = landed.bronze_table
where held.rows_held != coalesce(landed.rows_kept, 0)
