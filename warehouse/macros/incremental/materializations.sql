{#
    How a model becomes a table or a view of the lake: under its own name, in one transaction.
    dbt's own materializations build beside the old relation, rename both and drop, with a commit for each: on DuckLake
    that costs more than a small model itself, and a table that is built again loses its partitions. Readers hold a
    version of the lake, so nothing has to be moved out of their way.
#}
{# A view changes only with the project, and a changed project is built in full. #}
{% materialization view, adapter='duckdb' -%}
    {%- set before = load_cached_relation(this) -%}
    {%- if not is_full_build() and before is not none and before.type == 'view' -%}
        {%- call statement('main') -%}
            select 1
        {%- endcall -%}
        {{ return({'relations': [this]}) }}
    {%- endif -%}
    {%- set target = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do drop_in_transaction(load_cached_relation(this)) -%}
    {%- call statement('main') -%}
        {{ get_create_view_as_sql(target, sql) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{# A table that is small, or made of few rows, is filled again by each build: under the same name, with the same columns. #}
{% materialization table, adapter='duckdb' -%}
    {%- if is_full_build() -%}
        {{ return({'relations': [built_anew()]}) }}
    {%- endif -%}
    {%- do must_stand() -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement() -%}
        delete from {{ target }}
    {%- endcall -%}
    {%- call statement('main') -%}
        insert into {{ target }} by name ({{ sql }})
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{# A pre-hook deletes the rows that the model then inserts again. A changed project is built in full: columns never change here. #}
{% materialization incremental, adapter='duckdb' -%}
    {%- if is_full_build() -%}
        {{ return({'relations': [built_anew()]}) }}
    {%- endif -%}
    {%- do must_stand() -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        insert into {{ target }} by name ({{ sql }})
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% macro built_anew() -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do drop_in_transaction(load_cached_relation(this)) -%}
    {%- call statement('main') -%}
        {{ create_table_as(False, target, sql, partitioned_by=duckdb__get_partitioned_by(target, false)) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return(target) }}
{%- endmacro %}

{% macro drop_in_transaction(relation) -%}
    {%- if relation is not none -%}
        {%- call statement() -%}
            drop {{ relation.type }} {{ relation }}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{# What is touched can only be added to a table that holds the rest. #}
{% macro must_stand() -%}
    {%- if load_cached_relation(this) is none -%}
        {{ exceptions.raise_compiler_error(this ~ ' has not been built: build everything first (--full-refresh)') }}
    {%- endif -%}
{%- endmacro %}

{#
    A model with a contract fails where its select gives other columns. dbt would compare them while it compiles, when the tables
    that the select reads may not stand yet: so this is a statement of its own, run before the model is made. The comment in front tells
    it from what dbt only asks.
#}
{% macro duckdb__get_assert_columns_equivalent(sql) -%}
    {%- call statement('contract') -%}
        /*contract*/ with

        made as (
            select column_name, column_type from (describe ({{ sql }}))
        ),

        contract (column_name, column_type) as (
            values
            {%- for column in model.columns.values() %}
            ('{{ column.name }}', typeof(cast(null as {{ column.data_type }}))){{ ',' if not loop.last }}
            {%- endfor %}
        )

        select error(string_agg(
            column_name || ' is ' || coalesce(made.column_type, 'missing')
            || ', and its contract says ' || coalesce(contract.column_type, 'nothing'),
            '; ' order by column_name
        ))
        from made
        full outer join contract using (column_name)
        where made.column_type is distinct from contract.column_type
        having count(*) > 0
    {%- endcall -%}
{%- endmacro %}
