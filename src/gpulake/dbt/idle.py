"""Which statements of a script can do nothing, since tables that they need hold no row.

A lake without samples of GPUs has no hours of GPUs, no events and no health of them. The catalog tells which tables are empty, and
a plan of a statement which of them it needs. Plans are made on tables of the same shape in a database of their own, which hold
nothing: so what a statement needs follows from its text and from the views, and from no row, and may be kept.
What cannot be told is run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any  # plans, as DuckDB tells them

from gpulake.dbt import functions
from gpulake.dbt.standing import Standing
from gpulake.lake import Connection, QueryError, connect
from gpulake.whole import keep_newest, write_whole

Needs = str | bool | list[Any]
"""When a query gives no row: always or never; where a table is empty; or `["all", …]`, `["any", …]` of such."""

_OF_LAKE = r'"?lake"?\."?(\w+)"?\."?(\w+)"?'
_A_DELETE = re.compile(rf"\s*delete\s+from\s+{_OF_LAKE}(?:\s|$)", re.IGNORECASE)
_AN_INSERT = re.compile(rf"\s*insert\s+into\s+{_OF_LAKE}\s+by\s+name\s*\((.*)\)\s*", re.IGNORECASE | re.DOTALL)
_ASIDE = re.compile(r"\s*(?:set\s|/\*contract\*/)", re.IGNORECASE)
"""How a model's statements begin that change no table."""
_MAY_COUNT_NOTHING = re.compile(r"\b(?:rollup|cube|grouping\s+sets)\b", re.IGNORECASE)
"""Groups that give a row for no row; a plan does not show them."""

_HAS_COUNTED_ROWS = re.compile(r"(?:.* AND )?\(count_star\(\) > 0\)\)?", re.DOTALL)
"""A filter, or the last of several that must all be met: `having count(*) > 0`."""

_ROW_BY_ROW = {
    *("PROJECTION", "FILTER", "UNNEST", "WINDOW", "STREAMING_WINDOW", "ORDER_BY", "TOP_N", "LIMIT", "STREAMING_LIMIT"),
    *("HASH_GROUP_BY", "PERFECT_HASH_GROUP_BY", "UNION"),
}
_JOINS = {"HASH_JOIN", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "PIECEWISE_MERGE_JOIN", "IE_JOIN", "ASOF_JOIN"}
_OF_FIRST = {"LEFT", "ANTI", "MARK", "SINGLE"}
_OF_SECOND = {"RIGHT", "RIGHT_ANTI"}
_OF_EITHER = {"INNER", "SEMI", "RIGHT_SEMI"}

_KEPT = 64
_COLUMNS = """
SELECT schema_name, table_name, string_agg('"' || replace(column_name, '"', '""') || '" ' || data_type, ', ' ORDER BY column_index)
FROM duckdb_columns()
WHERE database_name = 'lake'
GROUP BY ALL
"""


class Idle:
    """Tells what does nothing on the lake as it stood when the script began, and as a build goes on.

    `beside`: the script's file. What its statements need is kept beside it, for each state of the lake's views.
    """

    def __init__(self, connection: Connection, standing: Standing, *, beside: Path | None = None) -> None:
        self._connection = connection
        self._views = standing.views
        self._empty = {name for name, rows in standing.rows.items() if rows == 0}
        self._file = beside.with_name(f"{beside.stem}-{_digest(*self._views.values())[:16]}.needs") if beside else None
        self._needs = _kept(self._file)
        self._has_more = False
        self._shapes: Connection | None = None

    def changes_nothing(self, statements: Sequence[str]) -> bool:
        """Whether the statements of a model, run now, would leave every table as it is."""
        queries: list[str] = []
        for statement in statements:
            if deleting := _A_DELETE.match(statement):
                if f"{deleting[1]}.{deleting[2]}" not in self._empty:
                    return False
            elif inserting := _AN_INSERT.fullmatch(statement):
                queries.append(inserting[3])
            elif not _ASIDE.match(statement):
                return False
        return bool(queries) and all(self.gives_nothing(query) for query in queries)

    def gives_nothing(self, query: str) -> bool:
        """Whether a query has no row, whatever the tables that are not empty hold."""
        key = _digest(query)[:32]
        if key not in self._needs:
            if self._shapes is None:
                self._shapes = self._made()
            self._needs[key] = needs_of(self._shapes, query)
            self._has_more = True
        return is_met(self._needs[key], self._empty)

    def ran(self, statements: Sequence[str]) -> None:
        """Note that these statements have changed rows: what they put rows into is not empty any more."""
        inserting = (_AN_INSERT.fullmatch(statement) for statement in statements)
        self._empty -= {f"{found[1]}.{found[2]}" for found in inserting if found}

    def keep(self) -> None:
        """Keep what is known, for the next build of any lake. Where that cannot be, it is asked again."""
        if self._file is not None and self._has_more:
            with suppress(OSError):
                write_whole(self._file, json.dumps(self._needs).encode())
                keep_newest(self._file.parent.glob("*.needs"), _KEPT)

    def _made(self) -> Connection:
        """A database of its own with the lake's tables, all without a row, and its views."""
        made = connect(extensions=())
        functions.register(made)
        made.execute("SET threads = 1; ATTACH ':memory:' AS lake; SET enable_external_access = false")
        views = dict(self._views)
        for schema, name, columns in self._connection.execute(_COLUMNS).fetchall():
            if f"{schema}.{name}" not in views:
                made.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{_named(schema)}")
                made.execute(f"CREATE TABLE lake.{_named(schema)}.{_named(name)} ({columns})")
        left: dict[str, str] = {}
        while left != views:  # a view stands on others, in any order
            left, views = views, {}
            for name, sql in left.items():
                try:
                    schema, _, view = name.partition(".")
                    sql_here = sql.replace("{DUCKLAKE_CATALOG}", "lake")
                    made.execute(f"CREATE VIEW lake.{_named(schema)}.{_named(view)} AS {sql_here}")
                except QueryError:
                    if not _MAY_COUNT_NOTHING.search(sql):
                        views[name] = sql
        return made


def needs_of(connection: Connection, query: str) -> Needs:
    """When a query gives no row; never, where it cannot be planned, or its plan holds what is not known here."""
    if _MAY_COUNT_NOTHING.search(query):
        return False
    try:
        ((_, plan),) = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
    except QueryError:
        return False
    defined: dict[str, Needs] = {}
    return _of_all([_needs(node, defined) for node in json.loads(plan)])


def is_met(needs: Needs, empty: set[str]) -> bool:
    """Whether it is so where these tables are empty."""
    if isinstance(needs, list):
        how, *parts = needs
        met = (is_met(part, empty) for part in parts)
        return all(met) if how == "all" else any(met)
    return needs in empty if isinstance(needs, str) else needs


def _needs(node: Mapping[str, Any], defined: dict[str, Needs]) -> Needs:
    """When a node of a plan gives no row. `defined`: the same of each common table that stands so far."""
    name, told, inputs = str(node["name"]).strip(), node.get("extra_info") or {}, node["children"]
    if name == "EMPTY_RESULT":
        return True
    if name == "SEQ_SCAN":
        return str(told.get("Table", "")).removeprefix("lake.")
    if name == "CTE":
        defined[told["Table Index"]] = _needs(inputs[0], defined)
        return _needs(inputs[1], defined)
    if name == "CTE_SCAN":
        return defined.get(told["CTE Index"], False)
    if name in {"LEFT_DELIM_JOIN", "RIGHT_DELIM_JOIN"}:  # a query for each row of its first input
        return _needs(inputs[0], defined)
    if name == "FILTER" and _counts_rows(told, inputs[0]):  # without a group, no row is counted as none
        return _needs(inputs[0]["children"][0], defined)
    of_inputs = [_needs(each, defined) for each in inputs]
    if name in _ROW_BY_ROW:
        return _of_all(of_inputs)
    if name == "CROSS_PRODUCT":
        return _of_any(of_inputs)
    kind = told.get("Join Type") if name in _JOINS else None
    if kind in _OF_EITHER:
        return _of_any(of_inputs)
    if kind in _OF_FIRST:
        return of_inputs[0]
    if kind in _OF_SECOND:
        return of_inputs[1]
    return _of_all(of_inputs) if kind == "FULL" else False


def _counts_rows(told: Mapping[str, Any], aggregate: Mapping[str, Any]) -> bool:
    """Whether a filter lets the one row of an aggregate without groups pass only where it has counted any."""
    is_single = str(aggregate["name"]).strip() == "UNGROUPED_AGGREGATE"
    return is_single and bool(_HAS_COUNTED_ROWS.fullmatch(str(told.get("Expression", ""))))


def _of_all(parts: list[Needs]) -> Needs:
    left = [part for part in parts if part is not True]
    if not parts or False in left:
        return False
    return ["all", *left] if len(left) > 1 else left[0] if left else True


def _of_any(parts: list[Needs]) -> Needs:
    left = [part for part in parts if part is not False]
    if True in left:
        return True
    return ["any", *left] if len(left) > 1 else left[0] if left else False


def _named(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _kept(file: Path | None) -> dict[str, Needs]:
    try:
        found = json.loads(file.read_text()) if file else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
