{{ config(meta={'unites': ['instance']}) }}

with

instances as (
    {{ union_staging('instance', [
        'cluster_id', 'job_id', 'task_id', 'instance_id', 'attempt_id', 'machine_id', 'status_source', 'start_s',
        'started_at', 'ended_at', 'row_text',
    ], only='false' if flags.FULL_REFRESH else of_touched_jobs()) }}
)

select * from instances
