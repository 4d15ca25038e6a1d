{#
    Everything that differs between SQL engines, one dispatched macro each.
    Another engine (Spark comes later) adds `<engine>__<name>` here and edits no model.
#}

{# Seconds since 1970 as a UTC timestamp; null, infinite and impossible numbers give null. #}
{% macro epoch_to_utc(seconds) %}{{ return(adapter.dispatch('epoch_to_utc', 'gpulake')(seconds)) }}{% endmacro %}
{% macro duckdb__epoch_to_utc(seconds) -%}
    make_timestamp(try_cast(({{ seconds }}) * 1000000 as bigint))
{%- endmacro %}

{# A timestamp as whole seconds since 1970, rounded down. #}
{% macro utc_to_epoch(moment) %}{{ return(adapter.dispatch('utc_to_epoch', 'gpulake')(moment)) }}{% endmacro %}
{% macro duckdb__utc_to_epoch(moment) -%}
    (epoch_us({{ moment }}) // 1000000)
{%- endmacro %}

{# Whole seconds since 1970 divided down to quarter hours. A day may begin within one: its borders decide (int_day_quarters). #}
{% macro quarter_of(moment) %}{{ return(adapter.dispatch('quarter_of', 'gpulake')(moment)) }}{% endmacro %}
{% macro duckdb__quarter_of(moment) -%}
    (epoch_us({{ moment }}) // 900000000)
{%- endmacro %}

{# The start of the hour of UTC that a timestamp lies in. #}
{% macro hour_of(moment) %}{{ return(adapter.dispatch('hour_of', 'gpulake')(moment)) }}{% endmacro %}
{% macro duckdb__hour_of(moment) -%}
    date_trunc('hour', {{ moment }})
{%- endmacro %}

{# The start of the day of UTC that a timestamp lies in. #}
{% macro utc_day_of(moment) %}{{ return(adapter.dispatch('utc_day_of', 'gpulake')(moment)) }}{% endmacro %}
{% macro duckdb__utc_day_of(moment) -%}
    date_trunc('day', {{ moment }})
{%- endmacro %}

{# Seconds from one timestamp to another, with their fraction. #}
{% macro seconds_between(start, end) %}{{ return(adapter.dispatch('seconds_between', 'gpulake')(start, end)) }}{% endmacro %}
{% macro duckdb__seconds_between(start, end) -%}
    ((epoch_us({{ end }}) - epoch_us({{ start }})) / 1000000.0)
{%- endmacro %}

{# What the clocks of a zone show at a UTC timestamp. #}
{% macro local_time(moment, time_zone) %}{{ return(adapter.dispatch('local_time', 'gpulake')(moment, time_zone)) }}{% endmacro %}
{% macro duckdb__local_time(moment, time_zone) -%}
    (({{ moment }}) at time zone 'UTC' at time zone {{ time_zone }})
{%- endmacro %}

{# The date that the clocks of a zone show at a UTC timestamp. #}
{% macro local_day(moment, time_zone) %}{{ return(adapter.dispatch('local_day', 'gpulake')(moment, time_zone)) }}{% endmacro %}
{% macro duckdb__local_day(moment, time_zone) -%}
    cast({{ local_time(moment, time_zone) }} as date)
{%- endmacro %}

{#
    The UTC timestamp at which a calendar day starts in a zone: the first that bears its date. Where clocks fall back over
    midnight, midnight comes twice and DuckDB gives the later one; the earlier is midnight by the offset of half a day before.
#}
{% macro day_start_utc(day, time_zone) %}{{ return(adapter.dispatch('day_start_utc', 'gpulake')(day, time_zone)) }}{% endmacro %}
{% macro duckdb__day_start_utc(day, time_zone) -%}
    {%- set midnight = 'cast(' ~ day ~ ' as timestamp)' -%}
    {%- set later = '(' ~ midnight ~ ' at time zone ' ~ time_zone ~ " at time zone 'UTC')" -%}
    {%- set before = '(' ~ later ~ ' - interval 12 hour)' -%}
    {%- set earlier = '(' ~ midnight ~ ' - (' ~ local_time(before, time_zone) ~ ' - ' ~ before ~ '))' -%}
    least({{ later }}, case when {{ local_time(earlier, time_zone) }} = {{ midnight }} then {{ earlier }} end)
{%- endmacro %}

{# Whole days from the first of January 1970 to a date. #}
{% macro days_since_1970(day) %}{{ return(adapter.dispatch('days_since_1970', 'gpulake')(day)) }}{% endmacro %}
{% macro duckdb__days_since_1970(day) -%}
    ({{ day }} - date '1970-01-01')
{%- endmacro %}

{# One row per day from one date to another, both included. #}
{% macro each_day(first_day, last_day) %}{{ return(adapter.dispatch('each_day', 'gpulake')(first_day, last_day)) }}{% endmacro %}
{% macro duckdb__each_day(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date)
{%- endmacro %}

{# One row per whole number from one to another, both included. #}
{% macro each_number(first, last) %}{{ return(adapter.dispatch('each_number', 'gpulake')(first, last)) }}{% endmacro %}
{% macro duckdb__each_number(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }}))
{%- endmacro %}

{# The rows of a group as one list: `columns` names each field's expression. In no order. #}
{% macro listed_rows(columns) %}{{ return(adapter.dispatch('listed_rows', 'gpulake')(columns)) }}{% endmacro %}
{% macro duckdb__listed_rows(columns) -%}
    list({{ one_row(columns) }})
{%- endmacro %}

{# Several columns as a row in one. #}
{% macro one_row(columns) %}{{ return(adapter.dispatch('one_row', 'gpulake')(columns)) }}{% endmacro %}
{% macro duckdb__one_row(columns) -%}
    struct_pack({% for name, value in columns.items() %}{{ name }} := {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{# One row per entry of a list. #}
{% macro each_row_of(list) %}{{ return(adapter.dispatch('each_row_of', 'gpulake')(list)) }}{% endmacro %}
{% macro duckdb__each_row_of(list) -%}
    unnest({{ list }})
{%- endmacro %}

{# The fields of a row in a column, as columns. #}
{% macro fields_of(row) %}{{ return(adapter.dispatch('fields_of', 'gpulake')(row)) }}{% endmacro %}
{% macro duckdb__fields_of(row) -%}
    unnest({{ row }})
{%- endmacro %}

{# The quantile with linear interpolation, exact. #}
{% macro exact_quantile(value, share) %}{{ return(adapter.dispatch('exact_quantile', 'gpulake')(value, share)) }}{% endmacro %}
{% macro duckdb__exact_quantile(value, share) -%}
    quantile_cont({{ value }}, {{ share }})
{%- endmacro %}

{# Several quantiles with linear interpolation, exact, as a list: one pass for all of them. #}
{% macro exact_quantiles(value, shares) %}{{ return(adapter.dispatch('exact_quantiles', 'gpulake')(value, shares)) }}{% endmacro %}
{% macro duckdb__exact_quantiles(value, shares) -%}
    quantile_cont({{ value }}, [{{ shares | join(', ') }}])
{%- endmacro %}

{# An entry of a list, counted from 1. #}
{% macro list_place(list, place) %}{{ return(adapter.dispatch('list_place', 'gpulake')(list, place)) }}{% endmacro %}
{% macro duckdb__list_place(list, place) -%}
    {{ list }}[{{ place }}]
{%- endmacro %}

{# The product of values, as an aggregate that also runs over a window. #}
{% macro product_of(value) %}{{ return(adapter.dispatch('product_of', 'gpulake')(value)) }}{% endmacro %}
{% macro duckdb__product_of(value) -%}
    product({{ value }})
{%- endmacro %}

{# A 64-bit number that equal rows share; different rows may share it too, so it only narrows a search. #}
{% macro row_hash(columns) %}{{ return(adapter.dispatch('row_hash', 'gpulake')(columns)) }}{% endmacro %}
{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{#
    A 128-bit number that stands for a long key in a join: two hashes of 64 bits, the columns in either order. Rows that differ
    in one text share it where that text's own hash of 64 bits does: once in 1e19 pairs, so in a trace of a million jobs by a chance
    of one in thirty million. Texts of 84 characters as keys of millions of rows would fill the memory instead.
#}
{% macro row_key(columns) %}{{ return(adapter.dispatch('row_key', 'gpulake')(columns)) }}{% endmacro %}
{% macro duckdb__row_key(columns) -%}
    (cast(hash({{ columns | join(', ') }}) as uhugeint) * 18446744073709551616 + hash({{ columns | reverse | join(', ') }}, 1))
{%- endmacro %}

{#
    The columns of a row as one value, after the number of those that are known: nothing is copied until `text_of_row` makes a
    text of the few that need it.
#}
{% macro row_text(columns) %}{{ return(adapter.dispatch('row_text', 'gpulake')(columns)) }}{% endmacro %}
{% macro duckdb__row_text(columns) -%}
    struct_pack(known := {% for column in columns %}case when {{ column }} is null then 0 else 1 end{{ ' + ' if not loop.last }}{% endfor %}, {% for column in columns %}c{{ '%02d' % loop.index }} := {{ column }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro known_of_row(row) %}{{ return(adapter.dispatch('known_of_row', 'gpulake')(row)) }}{% endmacro %}
{% macro duckdb__known_of_row(row) -%}
    {{ row }}.known
{%- endmacro %}
{% macro text_of_row(row) %}{{ return(adapter.dispatch('text_of_row', 'gpulake')(row)) }}{% endmacro %}
{% macro duckdb__text_of_row(row) -%}
    cast({{ row }} as varchar)
{%- endmacro %}

{# Number at which a text begins, e.g. 16 of '16 GB, HBM2, 4096 bit'. #}
{% macro leading_number(text) %}{{ return(adapter.dispatch('leading_number', 'gpulake')(text)) }}{% endmacro %}
{% macro duckdb__leading_number(text) -%}
    try_cast(regexp_extract({{ text }}, '^\s*([0-9]+(\.[0-9]+)?)', 1) as double)
{%- endmacro %}

{# A piece of a separated text, counted from 1. #}
{% macro text_part(text, separator, place) %}{{ return(adapter.dispatch('text_part', 'gpulake')(text, separator, place)) }}{% endmacro %}
{% macro duckdb__text_part(text, separator, place) -%}
    nullif(trim(split_part({{ text }}, '{{ separator }}', {{ place }})), '')
{%- endmacro %}

{# One row per piece of a separated text. #}
{% macro text_pieces(text, separator) %}{{ return(adapter.dispatch('text_pieces', 'gpulake')(text, separator)) }}{% endmacro %}
{% macro duckdb__text_pieces(text, separator) -%}
    unnest(string_split({{ text }}, '{{ separator }}'))
{%- endmacro %}

{# A text of the project's own files as SQL writes it; none is null. #}
{% macro text_literal(text) -%}
    {{ 'cast(null as varchar)' if text is none else "'" ~ (text | replace("'", "''")) ~ "'" }}
{%- endmacro %}

{# Rows as a list of texts, in order. #}
{% macro text_list(value) %}{{ return(adapter.dispatch('text_list', 'gpulake')(value)) }}{% endmacro %}
{% macro duckdb__text_list(value) -%}
    string_agg({{ value }}, ', ' order by {{ value }})
{%- endmacro %}

{# The nearest whole number; null for what is none, or too large. #}
{% macro whole(number) %}{{ return(adapter.dispatch('whole', 'gpulake')(number)) }}{% endmacro %}
{% macro duckdb__whole(number) -%}
    try_cast(round({{ number }}) as bigint)
{%- endmacro %}

{# A sum over decimals, so that it is the same in any order of rows, and of how many values it is one. #}
{% macro exact_sum(value) %}{{ return(adapter.dispatch('exact_sum', 'gpulake')(value)) }}{% endmacro %}
{% macro duckdb__exact_sum(value) -%}
    cast(sum(try_cast({{ value }} as decimal(18, 6))) as double)
{%- endmacro %}
{% macro exact_count(value) %}{{ return(adapter.dispatch('exact_count', 'gpulake')(value)) }}{% endmacro %}
{% macro duckdb__exact_count(value) -%}
    count(try_cast({{ value }} as decimal(18, 6)))
{%- endmacro %}

{# Their mean. #}
{% macro exact_mean(value) -%}
    {{ exact_sum(value) }} / nullif({{ exact_count(value) }}, 0)
{%- endmacro %}

{# The value of the row that comes first by another column, among the rows of a condition. #}
{% macro first_by(value, order_column, condition) %}{{ return(adapter.dispatch('first_by', 'gpulake')(value, order_column, condition)) }}{% endmacro %}
{% macro duckdb__first_by(value, order_column, condition) -%}
    min_by({{ value }}, {{ order_column }}) filter (where {{ condition }})
{%- endmacro %}

{# The value of the row that comes last by another column. #}
{% macro last_by(value, order_column) %}{{ return(adapter.dispatch('last_by', 'gpulake')(value, order_column)) }}{% endmacro %}
{% macro duckdb__last_by(value, order_column) -%}
    max_by({{ value }}, {{ order_column }})
{%- endmacro %}

{# A whole number of up to 38 digits, for products that 64 bits do not hold. #}
{% macro wide_integer(number) %}{{ return(adapter.dispatch('wide_integer', 'gpulake')(number)) }}{% endmacro %}
{% macro duckdb__wide_integer(number) -%}
    cast({{ number }} as hugeint)
{%- endmacro %}

{#
    Sums over all rows before each one, in the order of some columns, with the last column's value of the row before. For rows
    whose sums come back to 0 at the end of each group: then one pass over the sorted rows does it, in half the time of a
    window per group. The value of the row before means nothing where a group begins.
    Sums before, not after, a row: `lead` in that pass holds rows back, and DuckDB 1.5.5 now and then hands the last thousands on
    twice where an unnest follows.
#}
{% macro sums_before(relation, order, sums, previous) %}{{ return(adapter.dispatch('sums_before', 'gpulake')(relation, order, sums, previous)) }}{% endmacro %}
{% macro duckdb__sums_before(relation, order, sums, previous) -%}
    select
        *,
        lag({{ order[-1] }}) over () as {{ previous }},
        {% for name, column in sums.items() -%}
        sum({{ column }}) over (rows between unbounded preceding and current row) - coalesce({{ column }}, 0) as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from (
        select * from {{ relation }}
        order by {{ order | join(', ') }}
    ) as sorted_rows
{%- endmacro %}

{# After `as`: a common table that is read again wherever it is named, not kept in memory for all of them. #}
{% macro inlined() %}{{ return(adapter.dispatch('inlined', 'gpulake')()) }}{% endmacro %}
{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}

{#
    Hooks around a model whose joins must keep the sides that they are written with. DuckDB builds on the side that it believes
    smaller, and takes a filter to leave a fifth: of spans with both times it leaves nearly all, and they are wide.
#}
{% macro keep_join_sides() %}{{ return(adapter.dispatch('keep_join_sides', 'gpulake')()) }}{% endmacro %}
{% macro duckdb__keep_join_sides() -%}
    set disabled_optimizers = 'statistics_propagation,build_side_probe_side'
{%- endmacro %}
{# The same, and joins in the order in which they are written: DuckDB would join spans with quarters by their borders alone. #}
{% macro keep_join_order() %}{{ return(adapter.dispatch('keep_join_order', 'gpulake')()) }}{% endmacro %}
{% macro duckdb__keep_join_order() -%}
    set disabled_optimizers = 'statistics_propagation,build_side_probe_side,join_order'
{%- endmacro %}
{% macro choose_join_sides() %}{{ return(adapter.dispatch('choose_join_sides', 'gpulake')()) }}{% endmacro %}
{# As profiles.yml has it. #}
{% macro duckdb__choose_join_sides() -%}
    set disabled_optimizers = 'statistics_propagation'
{%- endmacro %}
