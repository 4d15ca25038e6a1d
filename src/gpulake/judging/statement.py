"""A rule as one SQL query: of each thing and step, whether the condition is true, whether it is over, and what is shown.

What follows from that, step after step, is said by `steps`. Of a thing whose condition was never true the last rows say all,
so the others are not handed out: there may be millions.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpulake.judging.expression import Node, argument, is_sum, is_total, sql_of, sum_sql
from gpulake.judging.names import quoted
from gpulake.judging.parsed import Expression
from gpulake.judging.rule import CLUSTER, DAY_S, Rule

_AMOUNTS = ("value", "expected", "gpu_h")
_NAMES = ("machine", "job")


def sql_of_rule(rule: Rule) -> str:
    """The query. A thing has a number, `_thing`, and a first step, `_first`; `_t` is the start of a step."""
    shown = [quoted(name) for name in (*rule.let, *rule.shown_columns)] + [f"_{name}" for name in (*_AMOUNTS, *_NAMES)]
    by = [f"measured.{quoted(name)}" for name in rule.per]
    on = " and ".join(f"things.{quoted(name)} is not distinct from measured.{quoted(name)}" for name in rule.per)
    return "\n".join(
        [
            "with",
            *_seen(rule),
            *_measured(rule),
            f"things as (select {_keys(rule)}, row_number() over () as _thing, min(_t) as _first, max(_t) as _latest,",
            f"        coalesce(bool_or(_when), false) as _ever from measured group by {_keys(rule)})",
            f"select _thing, _first, _t, _when, _until, {', '.join([*by, *shown])}",
            f"from measured inner join things on {on}",
            # A sum reaches so far beyond the last step.
            f"where _ever or _t >= _latest - {_interval(rule, rule.over_steps - 1 + rule.settle_steps)}",
        ]
    )


def _seen(rule: Rule) -> Iterator[str]:
    """The rows that the rule is about."""
    time = f"{quoted(rule.time)}::timestamp" if rule.time else "timestamp '1970-01-01'"
    conditions = [f"{quoted(rule.time)} is not null"] if rule.time else []
    conditions += [sql_of(rule.where.tree)] if rule.where else []
    needed = {name for each in rule.expressions.values() for name in each.columns}
    columns = sorted({*needed, *rule.per, *rule.shown_columns})
    yield f"seen as (select {', '.join(map(quoted, columns))}, {time} as _t from {quoted(rule.table)}"
    yield f"    where {' and '.join(conditions) or 'true'}),"


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
        yield f"summed as (select {_keys(rule)}, {_step(rule)} as _t, {', '.join(given)}"
        yield f"    from seen{_reach(rule)} group by {_keys(rule)}, {_step(rule)}),"
        source = "summed"
    if totals:
        ways = [
            f"case when count({each}) over p = count(*) over p then sum({each}) over p end as {name}"
            for each, name in ((f"_of{name}" if rule.is_summed else each, name) for each, name in totals.items())
        ]
        yield f"totalled as (select *, {', '.join(ways)} from {source}"
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
    told += [f"({of(getattr(rule, name))})::double as _{name}" for name in _AMOUNTS]
    told += [f"({of(getattr(rule, name))})::varchar as _{name}" for name in _NAMES]
    until = of(rule.until) if rule.until else f"not {of(rule.when)}"
    yield f"measured as (select {_keys(rule)}, _t, {of(rule.when)} as _when, {until} as _until, {', '.join(told)}"
    yield f"    from {source}),"


def _keys(rule: Rule) -> str:
    return ", ".join(map(quoted, rule.per))


def _step(rule: Rule) -> str:
    """The steps that a row is part of the sum of: its own and those after it, as far as the sums reach."""
    return "_t" if rule.over_steps == 1 else f"_t + _back * {_interval(rule, 1)}"


def _reach(rule: Rule) -> str:
    return "" if rule.over_steps == 1 else f", range({rule.over_steps}) as reach (_back)"


def _interval(rule: Rule, steps: int) -> str:
    return f"interval '{steps} {'day' if rule.step_s in {DAY_S, None} else 'hour'}'"
