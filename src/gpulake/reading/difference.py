"""Two builds: which published figures differ, by table, cluster and day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime

from gpulake.errors import UsageError
from gpulake.lake import Reader
from gpulake.reading import published
from gpulake.reading.models import Model

_SAME = 1e-12
"""Doubles that differ by less than this share of themselves are one figure: a sum's last digit depends on its order."""


@dataclass(frozen=True)
class Build:
    """One kept publication."""

    build_id: int
    published_at: datetime


@dataclass(frozen=True)
class ColumnChange:
    """How many values of a column differ in rows that both builds have; the largest difference where it is a number."""

    column: str
    changed: int
    max_abs_change: float | None


@dataclass(frozen=True)
class GroupChange:
    """What changed in one cluster and day of a table (`dt`, or the day of its grain); None where it has no such column."""

    cluster_id: str | None
    dt: date | None
    rows_added: int
    rows_removed: int
    rows_changed: int
    columns: tuple[ColumnChange, ...]


@dataclass(frozen=True)
class TableChange:
    """A table with changed figures, or with columns that only one of the builds has (of that name and kind).

    `columns` is over all groups.
    """

    table: str
    columns: tuple[ColumnChange, ...]
    groups: tuple[GroupChange, ...]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Every gold table of two builds. `not_compared` have no grain that tells their rows apart."""

    first: Build
    second: Build
    tables: tuple[TableChange, ...]
    unchanged: tuple[str, ...]
    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]
    not_compared: tuple[str, ...]
    time_bases: Mapping[str, str] = field(default_factory=dict)
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def last_two(reader: Reader) -> tuple[int, int]:
    """The two newest builds that are kept. Raises UsageError while there is one."""
    kept = [build_id for build_id, row in published.publications(reader).items() if row["is_kept"]]
    if len(kept) < 2:
        raise UsageError(f"only build {kept[0]} is kept: there is nothing to compare it with.", do="refresh first")
    return kept[-2], kept[-1]


def between(reader: Reader, models: Mapping[str, Model], *, first: int) -> Difference:
    """What differs from build `first`, which the reader holds as `earlier`, to the build that it reads."""
    publications = published.publications(reader)
    builds = [Build(build_id, publications[build_id]["published_at"]) for build_id in (first, reader.build_id)]
    then, now = (
        [name for name in published.tables(reader, catalog) if name.startswith("gold_")]
        for catalog in ("earlier", "lake")
    )
    both = [name for name in now if name in then]
    comparable = [name for name in both if name in models and models[name].grain]
    changes = [_table_change(reader, models[name]) for name in comparable] if first != reader.build_id else []
    changed = tuple(change for change in changes if change.groups or change.columns_added or change.columns_removed)
    touched = {change.table for change in changed}
    return Difference(
        first=builds[0],
        second=builds[1],
        tables=changed,
        unchanged=tuple(name for name in comparable if name not in touched),
        only_in_first=tuple(name for name in then if name not in now),
        only_in_second=tuple(name for name in now if name not in then),
        not_compared=tuple(name for name in both if name not in comparable),
        time_bases={
            row["cluster_id"]: row["time_basis"]
            for row in reader.sql("SELECT cluster_id, time_basis FROM lake.meta.clusters ORDER BY ALL").to_pylist()
        },
    )


def _table_change(reader: Reader, model: Model) -> TableChange:
    then, now = (published.columns(reader, catalog, model.name) for catalog in ("earlier", "lake"))
    shared = [name for name in now if _kind(now[name]) == _kind(then.get(name, ""))]
    added = tuple(name for name in now if name not in shared)
    removed = tuple(name for name in then if name not in shared)
    if not set(model.grain) <= set(shared):
        return TableChange(model.name, (), (), added, removed)  # its rows are other things now
    measured = [name for name in shared if name not in model.grain]
    types = {name: now[name] for name in shared}
    rows = reader.sql(_comparison(model, types, {name: now[name] for name in measured})).to_pylist()
    groups = tuple(
        GroupChange(
            row["cluster_id"], row["dt"], row["rows_added"], row["rows_removed"], row["rows_changed"],
            tuple(
                ColumnChange(name, row[f"n{i}"], row[f"d{i}"]) for i, name in enumerate(measured) if row[f"n{i}"]
            ),
        )
        for row in rows
    )  # fmt: skip
    return TableChange(model.name, _overall(groups, measured), groups, added, removed)


def _overall(groups: Sequence[GroupChange], names: Sequence[str]) -> tuple[ColumnChange, ...]:
    changes = {name: [each for group in groups for each in group.columns if each.column == name] for name in names}
    return tuple(
        ColumnChange(
            name,
            sum(each.changed for each in found),
            max((each.max_abs_change for each in found if each.max_abs_change is not None), default=None),
        )
        for name, found in changes.items()
        if found
    )


def _kind(sql_type: str) -> str:
    """Types whose values can be compared: any number with any other."""
    number = re.match(r"(TINY|SMALL|BIG|HUGE|U\w*)?INT(?!ERVAL)|DECIMAL|DOUBLE|FLOAT", sql_type)
    return "number" if number else sql_type


def _comparison(model: Model, shared: Mapping[str, str], measured: Mapping[str, str]) -> str:
    """One row per cluster and day with a change. Only days whose digest differs are joined, row by row on the grain."""
    day = next((name for name in ("dt", *model.grain) if shared.get(name) == "DATE"), None)
    group = (
        f"{'cluster_id' if 'cluster_id' in shared else 'NULL::varchar'} AS of_cluster, {day or 'NULL::date'} AS of_day"
    )
    row = ", ".join(f'"{name}"' for name in shared)
    in_group = "{0}.of_cluster IS NOT DISTINCT FROM {1}.of_cluster AND {0}.of_day IS NOT DISTINCT FROM {1}.of_day"
    on_grain = " AND ".join(f'a."{name}" IS NOT DISTINCT FROM b."{name}"' for name in model.grain)
    either = "coalesce(a.of_cluster, b.of_cluster) AS of_cluster, coalesce(a.of_day, b.of_day) AS of_day"
    differences = "".join(f", {_differs(name, kind, i)}" for i, (name, kind) in enumerate(measured.items()))
    counts = "".join(
        f", count(*) FILTER (WHERE in_both AND n{i}) AS n{i}, max(d{i}) FILTER (WHERE in_both AND n{i}) AS d{i}"
        for i in range(len(measured))
    )
    any_differs = " OR ".join(f"n{i}" for i in range(len(measured))) or "false"

    def rows(catalog: str) -> str:
        return f'(SELECT {row}, {group}, true AS is_here FROM {catalog}.main."{model.name}")'

    def digests(catalog: str) -> str:
        return (
            f"(SELECT of_cluster, of_day, count(*) AS n, sum(hash({row})) AS digest FROM {rows(catalog)} GROUP BY 1, 2)"
        )

    return f"""
        WITH touched AS (
            SELECT {either}
            FROM {digests("earlier")} AS a FULL JOIN {digests("lake")} AS b ON {in_group.format("a", "b")}
            WHERE a.n IS DISTINCT FROM b.n OR a.digest IS DISTINCT FROM b.digest
        ),
        a AS (FROM {rows("earlier")} AS r SEMI JOIN touched ON {in_group.format("r", "touched")}),
        b AS (FROM {rows("lake")} AS r SEMI JOIN touched ON {in_group.format("r", "touched")}),
        paired AS (
            SELECT
                {either}, a.is_here IS NULL AS is_new, b.is_here IS NULL AS is_gone,
                a.is_here AND b.is_here AS in_both {differences}
            FROM a FULL JOIN b ON {on_grain}
        )
        SELECT
            of_cluster AS cluster_id, of_day AS dt,
            count(*) FILTER (WHERE is_new) AS rows_added,
            count(*) FILTER (WHERE is_gone) AS rows_removed,
            count(*) FILTER (WHERE in_both AND ({any_differs})) AS rows_changed {counts}
        FROM paired GROUP BY of_cluster, of_day
        HAVING rows_added + rows_removed + rows_changed > 0
        ORDER BY of_cluster, of_day
    """


def _differs(name: str, kind: str, number: int) -> str:
    """Whether two values are two figures, and by how much they differ where they are numbers."""
    a, b = f'a."{name}"', f'b."{name}"'
    differs = f"{a} IS DISTINCT FROM {b}"
    if kind in {"DOUBLE", "FLOAT"}:
        near = f"abs({a} - {b}) <= {_SAME} * greatest(abs({a}), abs({b}))"
        differs = f"({differs} AND NOT coalesce({near}, false))"
    by = f"abs({a}::double - {b}::double)" if _kind(kind) == "number" else "NULL::double"
    return f"{differs} AS n{number}, {by} AS d{number}"
