{#
    The staging models of one entity, by name: a new source adds stg_<source>__<entity>.sql and edits no file.
    A model that unites them says so in its config, meta={'unites': [...]}; gpulake's dbt child draws the edges of the
    graph from that. Without them (dbt started by hand) the views must stand already.
    Where the caller names the sources of which anything has landed (GPULAKE_LANDED), only those are planned for. A view outlives
    the build, so it takes every table of those; a new source is built in full, so no view misses it.
    Only views, and what full builds alone make, may ask: the script of a delivery's build is the same for every lake.
    Gives the relations, each with the condition on its rows: `false` where nothing has landed for the entity at all, since a
    union of nothing has no columns.
#}
{% macro staging_models(entity) -%}
    {%- set found = [] -%}
    {%- set planned = [] -%}
    {%- for node in (graph.nodes.values() if execute else []) | sort(attribute='name') -%}
        {%- if node.resource_type == 'model' and node.name.startswith('stg_') and node.name.endswith('__' ~ entity) -%}
            {%- set relation = ref(node.name) if node.unique_id in model.depends_on.nodes else node.relation_name -%}
            {%- do found.append({'relation': relation, 'rows': 'false'}) -%}
            {%- if not env_var('GPULAKE_LANDED', '') or has_landed(node) -%}
                {%- do planned.append({'relation': relation, 'rows': 'true'}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(planned or found[:1]) }}
{%- endmacro %}

{# Whether anything of a staging model's source has landed. #}
{% macro has_landed(staging_model) -%}
    {{ return(staging_model.name.split('__')[0].removeprefix('stg_') in env_var('GPULAKE_LANDED', '').split(',')) }}
{%- endmacro %}

{# Bronze tables whose rows come when something happens, as texts: `is_sparse` in the meta of their sources.yml. #}
{% macro sparse_tables() -%}
    {%- set found = [] -%}
    {%- for table in (graph.sources.values() if execute else []) | sort(attribute='name') if table.meta.get('is_sparse') -%}
        {%- do found.append(text_literal(table.name)) -%}
    {%- endfor -%}
    {{ return(found or [text_literal('')]) }}
{%- endmacro %}
