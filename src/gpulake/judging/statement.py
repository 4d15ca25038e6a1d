"""A rule as one SQL query: for each thing and each step of its cluster, what the rule says of it then.

What it says at a step depends on that step and earlier ones alone, so the last step's answer is today's, and the others are
what would have been said on their days. Of each thing and step the condition is true (T), over (C), between the two (H),
or not known. The last are passed over: they count for no duration and break none.

- It fires from the step on at which `for` many T stand in a row, until `clear_for` many C stand in a row.
- It has held since the first T of the row of T that made it fire. It has been over since the first C of the row of C.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gpulake.judging.expression import Expression, Node, argument, is_sum, is_total, quoted, sql_of, sum_sql
from gpulake.judging.rule import CLUSTER, DAY_S, Rule

_AFTER = timedelta(days=3)
_SHOWN = ("value", "expected", "gpu_h")
_NAMED = ("machine", "job")


def sql_of_rule(rule: Rule, *, limited: bool = False, every_step: bool = False, after: timedelta = _AFTER) -> str:
    """The query. `limited`: its two parameters are lists of clusters and of the last step of each that may be seen.

    `every_step`: every step at which a thing fires, and those until so long `after` it fired last; else of each thing the
    last step of its cluster.
    """
    shown = [quoted(name) for name in (*rule.let, *rule.shown_columns)] + [f"_{name}" for name in (*_SHOWN, *_NAMED)]
    by = ", ".join(map(quoted, rule.per))
    kept = (
        f"said._t <= _fired_last + interval '{round(after.total_seconds())} seconds'"
        if every_step
        else "said._t = _last"
    )
    return "\n".join(
        [
            *_seen(rule, limited=limited),
            *_measured(rule),
            *_judged(rule, every_step=every_step),
            f"select said._t, _state, _since, {by}, {', '.join(shown)}",
            "from said inner join things on said._thing = things._thing",
            "left join told on said._thing = told._thing and said._t = told._t",
            f"where {kept}",
            f"order by said._t, {by}",
        ]
    )


def _seen(rule: Rule, *, limited: bool) -> Iterator[str]:
    """The rows that may be seen, and the steps of each cluster that are judged."""
    own, time = quoted(CLUSTER), f"{quoted(rule.time)}::timestamp" if rule.time else "timestamp '1970-01-01'"
    needed = {name for each in rule.expressions.values() for name in each.columns}
    columns = sorted({*needed, *rule.per, *rule.shown_columns})
    taken = sql_of(rule.where.tree) if rule.where else "true"
    yield "with"
    if limited:
        yield "limits as (select unnest(?) as _cluster, unnest(?)::timestamp as _until),"
    yield f"seen as (select {', '.join(map(quoted, columns))}, {time} as _t, coalesce({taken}, false) as _taken"
    if limited:
        yield f"    from {quoted(rule.table)} inner join limits on {own} is not distinct from _cluster and {time} <= _until"
    else:
        yield f"    from {quoted(rule.table)}"
    yield f"    where {quoted(rule.time)} is not null)," if rule.time else "),"
    yield f"steps as (select distinct {own}, _t from seen"
    yield f"    qualify _t <= max(_t) over (partition by {own}) - {_interval(rule, rule.settle_steps)}),"
    yield f"moments as (select *, max(_t) over (partition by {own}) as _last from steps),"


def _measured(rule: Rule) -> Iterator[str]:
    """One row per thing and step with rows: whether the condition is true, and what is shown."""
    sums: dict[str, str] = {}
    for node in (node for each in rule.expressions.values() for node in each.sums):
        sums.setdefault(sum_sql(node), f"_sum{len(sums)}")
    totals: dict[str, str] = {}
    for node in (node for each in rule.expressions.values() for node in each.totals):
        totals.setdefault(sql_of(argument(node)), f"_total{len(totals)}")
    source = "seen"
    if rule.is_summed:
        given = [f"{sum_} as {name}" for sum_, name in sums.items()]
        given += [
            f"case when count({each}) = count(*) then sum({each}) end as _of{name}" for each, name in totals.items()
        ]
        yield f"summed as (select {_keys(rule)}, {_step(rule)} as _t, {', '.join(given)}, true as _taken"
        yield f"    from seen{_reach(rule)} where _taken group by {_keys(rule)}, {_step(rule)}),"
        source = "summed"
    if totals:
        ways = [
            f"case when count({each}) over p = count(*) over p then sum({each}) over p end as {name}"
            for each, name in ((f"_of{name}" if rule.is_summed else each, name) for each, name in totals.items())
        ]
        yield f"totalled as (select *, {', '.join(ways)} from {source} where _taken"
        yield f"    window p as (partition by {quoted(CLUSTER)}, _t)),"
        source = "totalled"

    def replaced(node: Node) -> str | None:
        if is_sum(node):
            return sums[sum_sql(node)]
        return totals[sql_of(argument(node))] if is_total(node) else None

    def of(each: Expression | None) -> str:
        return "null" if each is None else sql_of(each.tree, replaced=replaced)

    told = [f"{of(each)} as {quoted(name)}" for name, each in rule.let.items()]
    told += [quoted(name) for name in rule.shown_columns]
    told += [f"({of(getattr(rule, name))})::double as _{name}" for name in _SHOWN]
    told += [f"({of(getattr(rule, name))})::varchar as _{name}" for name in _NAMED]
    until = of(rule.until) if rule.until else f"not {of(rule.when)}"
    yield f"measured as (select {_keys(rule)}, _t, true as _there, {of(rule.when)} as _when, {until} as _until, {', '.join(told)}"
    yield f"    from {source} where _taken),"


def _judged(rule: Rule, *, every_step: bool) -> Iterator[str]:
    """What is said at each step. Things go by a number here, and without what is shown of them: there may be many."""
    keys, own = _keys(rule), quoted(CLUSTER)
    on = " and ".join(f"things.{quoted(name)} is not distinct from measured.{quoted(name)}" for name in rule.per)
    missing = "'C'" if rule.missing_is_clear else "null"
    told = [quoted(name) for name in (*rule.let, *rule.shown_columns)] + [f"_{name}" for name in (*_SHOWN, *_NAMED)]
    window = "window w as (partition by _thing order by _t)"
    yield f"things as (select {keys}, row_number() over () as _thing, min(_t) as _first,"
    yield f"        coalesce(bool_or(_when), false) as _ever from measured group by {keys}),"
    yield f"told as (select _thing, _t, _there, _when, _until, {', '.join(told)}"
    yield f"    from measured inner join things on {on}),"
    # Of a thing whose condition was never true, the last step says all.
    yield "coded as (select things._thing, moments._t, _last, case"
    yield f"        when _there is null then {missing} when _when then 'T' when _when is null or _until is null then null"
    yield "        when _until then 'C' else 'H' end as _code"
    yield f"    from things inner join moments on things.{own} is not distinct from moments.{own} and moments._t >= _first"
    yield f"        and ({'_ever' if every_step else '_ever or moments._t = moments._last'})"
    yield "    left join told on things._thing = told._thing and moments._t = told._t),"
    yield f"numbered as (select *, count(_code) over w as _n from coded {window}),"
    yield "rows_of_one_code as (select *, coalesce(max(case when _code <> 'T' then _n end) over w, 0) as _last_not_t,"
    yield f"        coalesce(max(case when _code <> 'C' then _n end) over w, 0) as _last_not_c from numbered {window}),"
    yield "turns as (select *, min(case when _code = 'T' then _t end) over (partition by _thing, _last_not_t) as _held_since,"
    yield "        min(case when _code = 'C' then _t end) over (partition by _thing, _last_not_c) as _over_since,"
    yield f"        coalesce(_code = 'T' and _n - _last_not_t >= {rule.for_steps}, false) as _begins,"
    yield f"        coalesce(_code = 'C' and _n - _last_not_c >= {rule.clear_steps}, false) as _ends"
    yield "    from rows_of_one_code),"
    yield f"stretches as (select *, coalesce(max(case when _ends then _n end) over w, 0) as _last_end from turns {window}),"
    yield "opened as (select *, min(case when _begins then _held_since end) over w as _opened"
    yield "    from stretches window w as (partition by _thing, _last_end order by _t)),"
    yield "said as (select _thing, _t, _last, case when _code is null then null when _opened is not null then _opened"
    yield "        when _code = 'C' then _over_since end as _since,"
    yield "        case when _code is null then 'unknown' when _opened is not null then 'firing' else 'clear' end as _state"
    if every_step:
        yield "        , max(case when _code is not null and _opened is not null then _t end) over w as _fired_last"
        yield f"    from opened {window})"
    else:
        yield "    from opened)"


def _keys(rule: Rule) -> str:
    return ", ".join(map(quoted, rule.per))


def _step(rule: Rule) -> str:
    """The steps that a row is part of the sum of: its own and those after it, as far as the sums reach."""
    return "_t" if rule.over_steps == 1 else f"_t + _back * {_interval(rule, 1)}"


def _reach(rule: Rule) -> str:
    return "" if rule.over_steps == 1 else f", range({rule.over_steps}) as reach (_back)"


def _interval(rule: Rule, steps: int) -> str:
    return f"interval '{steps} {'day' if rule.step_s in {DAY_S, None} else 'hour'}'"
