{#
    The staging models of one entity, by name: a new source adds stg_<source>__<entity>.sql and edits no file.
    A model that unites them says so in its config, meta={'unites': [...]}; gpulake's dbt child draws the edges of the
    graph from that. Without them (dbt started by hand) the views must stand already.
    Where the caller names the tables that have landed (GPULAKE_LANDED), the others are not planned for. A table takes only
    staging models that read one of those. A view outlives the build, so it takes every one of a source that has landed;
    a new source is built in full, so no view misses it.
    Gives the relations; `planned` is false where nothing has landed for them.
#}
{% macro staging_models(entity) -%}
    {%- set found = [] -%}
    {%- set planned = [] -%}
    {%- for node in graph.nodes.values() | sort(attribute='name') -%}
        {%- if node.resource_type == 'model' and node.name.startswith('stg_') and node.name.endswith('__' ~ entity) -%}
            {%- set relation = ref(node.name) if node.unique_id in model.depends_on.nodes else node.relation_name -%}
            {%- do found.append(relation) -%}
            {%- if not env_var('GPULAKE_LANDED', '') or has_landed(node) -%}
                {%- do planned.append(relation) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return({'relations': planned or found[:1], 'planned': planned | length > 0}) }}
{%- endmacro %}

{# Whether anything of a staging model's tables, or for a view of its source's, has landed. #}
{% macro has_landed(staging_model) -%}
    {%- set landed = env_var('GPULAKE_LANDED', '').split(',') -%}
    {%- set prefix = staging_model.name.split('__')[0].removeprefix('stg_') ~ '.' -%}
    {%- for table in landed if model.config.materialized == 'view' and table.startswith(prefix) -%}
        {{ return(true) }}
    {%- endfor -%}
    {%- for node in staging_model.depends_on.nodes -%}
        {%- if prefix ~ node.split('.')[-1] in landed or node in graph.nodes and has_landed(graph.nodes[node]) -%}
            {{ return(true) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{#
    The rows of one entity from every source: `columns` in order, then the lineage. `only` is a condition on each.
    `touched`: in an incremental build those of touched jobs alone, which one model has read from the sources for all others.
#}
{% macro union_staging(entity, columns, only='true', touched=false) -%}
    {%- set read_once = ref('touched_' ~ entity ~ 's') if touched else none -%}
    {%- if touched and is_incremental() -%}
    select
        {{ (columns + ['source', 'landing_id', 'landing_no', 'source_row']) | join(', ') }}
    from {{ read_once }}
    where {{ only }}
    {%- else -%}
    {{ union_of_sources(entity, columns, only) }}
    {%- endif -%}
{%- endmacro %}

{% macro union_of_sources(entity, columns, only) -%}
    {%- set staged = staging_models(entity) if execute else {'relations': []} -%}
    {%- for relation in staged.relations %}
    select
        {% for column in columns + ['source', 'landing_id', 'landing_no', 'source_row'] -%}
        {{ text_of_row('row_text') ~ ' as row_text' if column == 'row_text' else column }}{{ ', ' if not loop.last }}
        {% endfor -%}
    from {{ relation }}
    where {{ only if staged.planned else 'false' }}
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
