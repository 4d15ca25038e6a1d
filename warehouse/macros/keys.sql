{#
    What makes two rows the same fact, per entity. `narrow` is a part of the key that nearly always differs:
    repeated rows are first looked for by its hash, and only there by the whole key. Instances are looked through when
    silver_instances is read, not at each build: nothing built here changes when one of them is counted twice.
    `within` is a number as the source has it, equal in rows of one key: a filter on it lets files be skipped.
    `only` leaves out rows that silver does not take.
#}
{% macro entity_keys() -%}
    {{ return({
        'job': {'key': ['cluster_id', 'job_id'], 'narrow': ['job_id']},
        'task': {'key': ['cluster_id', 'job_id', 'task_id'], 'narrow': ['job_id', 'task_id']},
        'instance': {
            'key': ['cluster_id', 'job_id', 'task_id', 'instance_id', 'attempt_id', 'started_at', 'ended_at'],
            'narrow': ['instance_id', 'attempt_id', 'started_at', 'ended_at'],
            'when_read': true,
        },
        'usage': {
            'key': ['cluster_id', 'job_id', 'attempt_id', 'measured_from'],
            'narrow': ['job_id', 'attempt_id', 'measured_from'],
            'when_read': true,
        },
        'group_tag': {'key': ['cluster_id', 'instance_id'], 'narrow': ['instance_id']},
        'machine': {'key': ['cluster_id', 'machine_id'], 'narrow': ['machine_id']},
        'machine_window': {
            'key': ['cluster_id', 'worker_id', 'machine_id', 'started_at', 'ended_at'],
            'narrow': ['worker_id', 'started_at', 'ended_at'],
            'within': 'end_s',
            'only': 'ended_at is not null',
        },
        'gpu_model': {'key': ['gpu_model_source'], 'narrow': ['gpu_model_source']},
    }) }}
{%- endmacro %}

{#
    Rows of an entity that another row of the same key stands for. `within` is a condition on columns of the key: all rows of
    a key meet it, or none. Entities that are looked through when they are read are so in full: of a touched job all rows
    are read anew, those of earlier landings too.
#}
{% macro losing_rows(entity, within='true', touched=false) -%}
    {%- set keys = entity_keys()[entity] -%}
    {%- set hash = row_hash(keys.narrow) -%}
    {%- set only = keys.get('only', 'true') ~ ' and ' ~ within ~ ' and ' ~ within_pending_range(entity, keys.within) -%}
    select
        '{{ entity }}' as entity,
        cluster_id,
        landing_id,
        source_row,
        row_text = winner_text as is_equal
    from (
        select
            {{ 'cluster_id' if 'cluster_id' in keys.key else 'cast(null as varchar) as cluster_id' }},
            landing_id,
            source_row,
            row_text,
            row_number() over best_first as place,
            first_value(row_text) over best_first as winner_text
        from ({{ union_staging(entity, keys.key + ['row_text'], only ~ ' and ' ~ hash ~ ' in (' ~ repeated_hashes(entity, only, touched) ~ ')', touched) }}) as staged
        window best_first as (
            partition by {{ keys.key | join(', ') }}
            order by landing_no desc, row_text desc, source_row desc
        )
    ) as ranked
    where place > 1
{%- endmacro %}

{# Hashes that more than one row of an entity has; of an incremental build only those of a pending row. #}
{% macro repeated_hashes(entity, only, touched=false) -%}
    {%- set narrow = entity_keys()[entity].narrow -%}
    {%- set hash = row_hash(narrow) -%}
    select {{ hash }} as row_hash
    from ({{ union_staging(entity, narrow, only, touched) }}) as narrowed
    {%- if is_incremental() and not entity_keys()[entity].when_read %}
    where {{ hash }} in (
        select {{ hash }} as row_hash
        from ({{ union_staging(entity, narrow, pending_only()) }}) as pending
    )
    {%- endif %}
    group by all
    having count(*) > 1
{%- endmacro %}

{# The range of a number over the pending rows, read when the model is compiled. #}
{% macro within_pending_range(entity, column) -%}
    {%- if column and is_incremental() and execute -%}
        {%- set bounds = run_query(
            'select min(' ~ column ~ '), max(' ~ column ~ ') from ('
            ~ union_staging(entity, [column], pending_only()) ~ ') as pending'
        ).rows[0] -%}
        {%- if bounds[0] is none -%}
    false
        {%- else -%}
    {{ column }} between {{ bounds[0] }} and {{ bounds[1] }}
        {%- endif -%}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{# The rows of an entity that stand for their key: every staged row but the losers. For `within` see losing_rows, for `touched` union_staging. #}
{% macro winning_rows(entity, columns, only='true', within='true', touched=false) -%}
    select staged.*
    from ({{ union_staging(entity, columns, only, touched) }}) as staged
    left join {% if entity_keys()[entity].when_read %}({{ losing_rows(entity, within, touched) }}){% else %}{{ ref('conflict_rows') }}{% endif %} as lost
        on staged.landing_id = lost.landing_id
            and staged.source_row = lost.source_row
            and lost.entity = '{{ entity }}'
    where lost.landing_id is null
{%- endmacro %}

{# Entities whose losers stand in meta.conflict_rows. #}
{% macro entities_built() -%}
    {%- set built = [] -%}
    {%- for entity, keys in entity_keys().items() if not keys.when_read -%}
        {%- do built.append(entity) -%}
    {%- endfor -%}
    {{ return(built) }}
{%- endmacro %}
