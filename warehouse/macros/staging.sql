{#
    The staging models of one entity, by name: a new source adds stg_<source>__<entity>.sql and edits no file.
    Sources of which nothing has landed are left out where the caller names those that have (GPULAKE_SOURCES): a new cluster is
    built in full, so no view misses its source.
    A model that unites them says so in its config, meta={'unites': [...]}; gpulake's dbt child draws the edges of the
    graph from that. Without them (dbt started by hand) the views must stand already.
#}
{% macro staging_models(entity) -%}
    {%- set found = [] -%}
    {%- set landed = [] -%}
    {%- set sources = env_var('GPULAKE_SOURCES', '').split(',') -%}
    {%- for node in graph.nodes.values() | sort(attribute='name') -%}
        {%- if node.resource_type == 'model' and node.name.startswith('stg_') and node.name.endswith('__' ~ entity) -%}
            {%- set relation = ref(node.name) if node.unique_id in model.depends_on.nodes else node.relation_name -%}
            {%- do found.append(relation) -%}
            {%- if node.name.removeprefix('stg_').removesuffix('__' ~ entity) in sources -%}
                {%- do landed.append(relation) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(landed or found) }}
{%- endmacro %}

{# The rows of one entity from every source: `columns` in order, then the lineage. `only` is a condition on each. #}
{% macro union_staging(entity, columns, only='true') -%}
    {%- for relation in (staging_models(entity) if execute else []) %}
    select
        {% for column in columns + ['source', 'landing_id', 'landing_no', 'source_row'] -%}
        {{ text_of_row('row_text') ~ ' as row_text' if column == 'row_text' else column }}{{ ', ' if not loop.last }}
        {% endfor -%}
    from {{ relation }}
    where {{ only }}
        {%- if not loop.last %}
    union all
        {%- endif %}
    {%- else %}
    select
        {% for column in columns + ['source', 'landing_id', 'landing_no', 'source_row'] -%}
        null as {{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
    where false
    {%- endfor %}
{%- endmacro %}

{# Landings that no publication holds yet: what an incremental build must take in. #}
{% macro pending_landings() -%}
    select landings.landing_id
    from {{ source('meta', 'landings') }} as landings
    left join {{ source('meta', 'published_landings') }} as published
        on landings.landing_id = published.landing_id
    where published.landing_id is null
{%- endmacro %}
