"""Conditions and amounts of a rule: a small language over the columns of one table, parsed and never passed on.

What is written in a rule file is parsed, each part of it is looked up in a list of what is allowed, and SQL is written
anew from the parts: no text of a rule reaches DuckDB. Allowed are columns, numbers, texts, true and false, comparisons,
`and`, `or`, `not`, `in`, `between`, `is null`, + - * /, the functions below, and sums over a key's rows and over its
cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from gpulake.errors import ContractError
from gpulake.judging.names import quoted, text_literal, unknown_name
from gpulake.judging.parsed import Expression

Node = exp.Expression

_COMPARISONS: Mapping[type[Node], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_ARITHMETIC: Mapping[type[Node], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_LOGIC: Mapping[type[Node], str] = {exp.And: "and", exp.Or: "or"}
_FUNCTIONS: Mapping[type[Node], str] = {exp.Abs: "abs", exp.Least: "least", exp.Greatest: "greatest"}
_SUMS: Mapping[type[Node], str] = {exp.Sum: "sum", exp.Min: "min", exp.Max: "max", exp.CountIf: "count_if"}
_LATEST, _TOTAL = "latest", "total"
KNOWN = ("abs", "coalesce", "count", "count_if", "greatest", _LATEST, "least", "max", "min", "sum", _TOTAL)
"""The functions of a rule. `latest` is the sum over the step's own rows, where the others reach back; `total` is the sum over
all keys of the cluster, at the same step."""


def parse(text: str, *, columns: Collection[str], let: Mapping[str, Expression], where: str) -> Expression:
    """Read one expression. Raises ContractError, with a near miss where there is one, for all that is not allowed."""
    try:
        tree = parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        raise ContractError(
            f"{text!r} is no expression: {_first_line(error)}.", where=where, do="write one as: idle_gpu_h >= 24"
        ) from error
    if tree is None:
        raise ContractError("the expression is empty.", where=where, do="write one as: idle_gpu_h >= 24")
    for node in tree.walk():
        if not isinstance(node, exp.Expression):
            raise ContractError(f"{text!r} is no expression.", where=where, do="write one as: idle_gpu_h >= 24")
        _check(node, columns=columns, let=let, where=where)
    put_in = tree.transform(lambda node: _resolved(node, columns=columns, let=let))
    return Expression(text, put_in)


def sql_of(tree: Node, *, replaced: Callable[[Node], str | None] = lambda _node: None) -> str:
    """SQL written from an allowed tree; `replaced` may give a node's own SQL."""

    def of(node: Node) -> str:
        given = replaced(node)
        if given is not None:
            return given
        kind = type(node)
        match node:
            case exp.Paren():
                return f"({of(node.this)})"
            case exp.Column():
                return quoted(node.name)
            case exp.Literal():
                return text_literal(node.this) if node.is_string else _number(node.this)
            case exp.Boolean():
                return "true" if node.this else "false"
            case exp.Null():
                return "null"
            case exp.Neg():
                return f"(-{of(node.this)})"
            case exp.Not():
                return f"(not {of(node.this)})"
            case exp.Is():
                return f"({of(node.this)} is {of(node.expression)})"
            case exp.In():
                return f"({of(node.this)} in ({', '.join(map(of, node.expressions))}))"
            case exp.Between():
                return f"({of(node.this)} between {of(node.args['low'])} and {of(node.args['high'])})"
            case exp.Div():
                # Nothing divided by nothing is not known; DuckDB would say NaN or infinity, which is above every threshold.
                return f"({of(node.this)} / nullif({of(node.expression)}, 0))"
            case exp.Coalesce():
                return f"coalesce({', '.join(map(of, [node.this, *node.expressions]))})"
            case _ if kind in _FUNCTIONS:
                return _at_most_as_known(_FUNCTIONS[kind], list(map(of, [node.this, *node.expressions])))
            case _:
                sign = {**_COMPARISONS, **_ARITHMETIC, **_LOGIC}[kind]
                return f"({of(node.this)} {sign} {of(node.expression)})"

    return of(tree)


def sum_sql(node: Node) -> str:
    """One sum over rows. A row that lacks what is summed makes it unknown: a part of a sum is no sum."""
    if isinstance(node, exp.Count):
        return "count(*)"
    if isinstance(node, exp.Anonymous):
        inner, own = sql_of(argument(node)), "filter (where _back = 0)"
        return f"case when count({inner}) {own} = count(*) {own} then sum({inner}) {own} end"
    inner, function = sql_of(node.this), _SUMS[type(node)]
    return f"case when count({inner}) = count(*) then {function}({inner}) end"


def argument(node: Node) -> Node:
    """What `total` or `latest` is asked of."""
    found: Node = node.expressions[0]
    return found


def _at_most_as_known(function: str, arguments: list[str]) -> str:
    """`least` and `greatest` of DuckDB pass over nulls; here one that is not known makes the result unknown."""
    called = f"{function}({', '.join(arguments)})"
    if function == "abs":
        return called
    return f"case when {' and '.join(f'{each} is not null' for each in arguments)} then {called} end"


def _number(written: str) -> str:
    if not re.fullmatch(r"-?\d+(\.\d*)?([eE][+-]?\d+)?|-?\.\d+", written):
        raise ContractError(f"{written!r} is no number.", do="write it in digits")
    return f"({written})" if written.startswith("-") else written


def is_sum(node: Node) -> bool:
    """Whether it is a sum over the rows of a key."""
    return type(node) in _SUMS or isinstance(node, exp.Count) or _is_called(node, _LATEST)


def is_total(node: Node) -> bool:
    """Whether it is a sum over the cluster."""
    return _is_called(node, _TOTAL)


def _is_called(node: Node, name: str) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == name


def is_inside_a_sum(node: Node) -> bool:
    """Whether it stands in a sum of either kind."""
    return any(map(_is_aggregate, _ancestors(node)))


def _is_aggregate(node: Node) -> bool:
    return is_sum(node) or is_total(node)


def _ancestors(node: Node) -> Iterator[Node]:
    above = node.parent
    while isinstance(above, exp.Expression):
        yield above
        above = above.parent


_LEAVES = (exp.Paren, exp.Literal, exp.Boolean, exp.Null, exp.Neg, exp.Not, exp.Div, exp.Star, exp.Identifier)


def _check(node: Node, *, columns: Collection[str], let: Mapping[str, Expression], where: str) -> None:
    kind = type(node)
    match node:
        case exp.Column():
            if node.table or node.args.get("db"):
                raise ContractError(f"{node.sql()!r} names a table.", where=where, do="name the column alone")
            if node.name not in columns and node.name not in let:
                raise unknown_name(node.name, {*columns, *let}, what="column", where=where)
        case exp.Is():
            if not isinstance(node.expression, exp.Null | exp.Boolean):
                raise _refused(node, where)
        case exp.In():
            if not node.expressions or not all(isinstance(each, exp.Literal) for each in node.expressions):
                raise _refused(node, where)
        case exp.Coalesce():
            if any(isinstance(each, exp.Literal) for each in (node.this, *node.expressions)):
                raise ContractError(
                    "coalesce to a number would take what is not known for one.",
                    where=where,
                    do="coalesce columns only, or say `is null`",
                )
        case exp.Count():
            if not isinstance(node.this, exp.Star):
                raise ContractError("count takes no column here.", where=where, do="write count(*) or count_if(...)")
        case exp.Anonymous():
            if not _is_aggregate(node) or len(node.expressions) != 1:
                raise unknown_name(str(node.this), KNOWN, what="function", where=where)
        case exp.Star():
            if not isinstance(node.parent, exp.Count):
                raise _refused(node, where)
        case exp.Between():
            pass
        case _:
            allowed = kind in _LEAVES or any(
                kind in each for each in (_COMPARISONS, _ARITHMETIC, _LOGIC, _FUNCTIONS, _SUMS)
            )
            if not allowed:
                raise _refused(node, where)
    if _is_aggregate(node) and is_inside_a_sum(node):
        raise ContractError(
            "there is a sum inside a sum.", where=where, do="sum once; total() sums over the cluster by itself"
        )


def _refused(node: Node, where: str) -> ContractError:
    name = node.sql_name().lower() if isinstance(node, exp.Func) else type(node).__name__.lower()
    if isinstance(node, exp.Func):
        return unknown_name(name, KNOWN, what="function", where=where)
    return ContractError(
        f"{node.sql(dialect='duckdb')!r} ({name}) is not allowed in a rule.",
        where=where,
        do=f"use columns, numbers, texts, comparisons, and, or, not, in, between, is null, + - * / and {', '.join(KNOWN)}",
    )


def _resolved(node: Node, *, columns: Collection[str], let: Mapping[str, Expression]) -> Node:
    if isinstance(node, exp.Column) and node.name in let and node.name not in columns:
        return exp.Paren(this=let[node.name].tree.copy())
    return node


def _first_line(error: BaseException) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return plain.splitlines()[0].rstrip(".") if plain else type(error).__name__
