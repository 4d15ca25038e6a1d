"""The SQL that made a build: what dbt ran for each model, and what each stands on, as the build itself kept it.

A full build keeps it in `meta.models`, so an older build is explained by the SQL of then, and nobody needs dbt to read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpulake.reading.rows import Sql

_CTE = "__dbt__cte__"
_RELATION = re.compile(r'"lake"\."(\w+)"\."(\w+)"')


@dataclass(frozen=True)
class StandsOn:
    """A table, view or file that a model reads; a table that gpulake itself writes has no file."""

    name: str
    file: str | None


@dataclass(frozen=True)
class Compiled:
    """One model as a build ran it; files are told from the top of the project."""

    model: str
    file: str
    sql: str
    stands_on: tuple[StandsOn, ...]


def compiled(view: Sql, model: str, *, fingerprint: str, catalog: str = "lake") -> Compiled | None:
    """The model's SQL in the build of these definitions; None where an earlier gpulake built it and kept none."""
    there = view.sql(
        "SELECT 1 FROM information_schema.tables "
        "WHERE table_catalog = ? AND table_schema = 'meta' AND table_name = 'models'",
        [catalog],
    )
    if not there.num_rows:
        return None
    rows = view.sql(
        f"SELECT model, file, compiled_sql, depends_on, depends_on_files FROM {catalog}.meta.models "
        "WHERE fingerprint = ? AND model = ?",
        [fingerprint, model],
    ).to_pylist()
    return _compiled(rows[0]) if rows else None


def _compiled(row: Mapping[str, str]) -> Compiled:
    names, files = (row[column].split("\n") if row[column] else [] for column in ("depends_on", "depends_on_files"))
    return Compiled(
        model=row["model"],
        file=row["file"],
        sql=readable(row["compiled_sql"]),
        stands_on=tuple(StandsOn(name, file or None) for name, file in zip(names, files, strict=True)),
    )


def readable(sql: str) -> str:
    """SQL as a person would have written it: tables by their names, inlined models by theirs, no holes where Jinja stood."""
    sql = _RELATION.sub(lambda found: found[2] if found[1] == "main" else f"{found[1]}.{found[2]}", sql)
    for inlined in sorted(set(re.findall(rf"{_CTE}(\w+)", sql))):
        # A model that imports it under its own name would else read itself.
        is_taken = re.search(rf"\b(?<!{_CTE}){inlined}\s+as\s*\(", sql)
        sql = re.sub(rf"\b{_CTE}{inlined}\b", f"{inlined}_model" if is_taken else inlined, sql)
    lines = [line.rstrip() for line in sql.strip().splitlines()]
    return "\n".join(line for i, line in enumerate(lines) if line or lines[i - 1]) + "\n"
