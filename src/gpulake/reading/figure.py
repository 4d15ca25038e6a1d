"""One figure: its definition, its parts, what fed it, and what it was in an older build."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from shlex import quote
from typing import Any

from gpulake.errors import UsageError
from gpulake.lake import Reader
from gpulake.reading import published
from gpulake.reading.compiled import StandsOn, compiled
from gpulake.reading.models import PARTS, Column, Model, column_of, computable
from gpulake.reading.workings import RowOf, Workings, workings

_PROJECT = "warehouse"
"""The dbt project's folder in the source tree, where people look a file up."""

_JOB_DAYS = (
    ("silver_job_days", "dt"),
    ("silver_jobs", "submitted_day"),
    ("silver_unbounded_spans", "dt"),
    ("silver_unbounded_spans", "submitted_day"),
)
"""Where it stands on which days a job's figures lie."""

_DAY_NUMBER = re.compile(r"(?:day )?(\d{1,6})")


@dataclass(frozen=True)
class Part:
    """A numerator, denominator or coverage: its formula, and its value where the table holds what it is made of."""

    formula: str
    value: object


@dataclass(frozen=True)
class Figure:
    """One figure of one build. Without a row in that build there is no value and no part of it."""

    build_id: int
    published_at: datetime
    has_row: bool
    value: object
    numerator: Part | None
    denominator: Part | None
    coverage: Part | None


@dataclass(frozen=True)
class FedBy:
    """One landing that the figure's build includes; without event times it belongs to every day, with them also to those of its jobs."""

    landing_id: str
    table_name: str
    file_name: str
    rows_kept: int
    min_event_at: datetime | None
    max_event_at: datetime | None
    first_build_id: int


@dataclass(frozen=True)
class Move:
    """What a value was and is; `change` is None where one of them is no number."""

    then: object
    now: object
    change: float | None


@dataclass(frozen=True)
class AsOf:
    """The figure as an older build showed it, and what happened since.

    `definitions_changed` is None where settings changed too, since one digest is kept of both. `sql` is what ran then, if
    that was another.
    """

    figure: Figure
    moved: Mapping[str, Move]
    landings_since: tuple[FedBy, ...]
    other_landings_since: int
    settings_changed: tuple[str, ...]
    definitions_changed: bool | None
    sql: str | None


@dataclass(frozen=True)
class Explanation:
    """One published figure with everything that it stands on.

    `sql` is what ran in that build; of a build of an earlier gpulake, which kept none, it is the installed model's template.
    `definitions_are_newer` says that the installed models are not those that made the figure. `workings`: of a figure that was
    worked out of the means of windows, how.
    """

    table: str
    column: str
    key: Mapping[str, object]
    table_description: str
    definition: str
    unit: str | None
    no_parts: str | None
    cluster_id: str | None
    day: date | None
    time_basis: str | None
    figure: Figure
    why_unknown: str | None
    landings: tuple[FedBy, ...]
    as_of: AsOf | None
    definitions_are_newer: bool
    sql_file: str
    sql: str
    sql_is_compiled: bool
    stands_on: tuple[StandsOn, ...]
    workings: Workings | None = None
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines: the figure's own facts stand at the top."""
        facts = asdict(self)
        return {**facts.pop("figure"), **facts}


@dataclass(frozen=True)
class _Place:
    """Which cell is meant: checked names, and the key's values as bound parameters."""

    model: Model
    column: Column
    key: Mapping[str, str]
    types: Mapping[str, str]

    @property
    def day_column(self) -> str | None:
        """The day that the row's events lie on, if it has one: the day of a landing says nothing of its events."""
        return next((name for name in ("dt", "submitted_day") if self.types.get(name) == "DATE"), None)

    @property
    def where(self) -> str:
        """No value is cut into the query; one that its column's type cannot hold equals nothing."""
        # A text that only begins as a date does is cast to that date, so days are compared as text.
        return " AND ".join(
            f'"{name}" IS NULL'
            if not value
            else f'"{name}"::varchar = ?'
            if self.types[name] == "DATE"
            else f'"{name}" = try_cast(? AS {self.types[name]})'
            for name, value in self.key.items()
        )

    @property
    def bound(self) -> list[str]:
        return [value for value in self.key.values() if value]


def explain(
    reader: Reader,
    models: Mapping[str, Model],
    *,
    table: str,
    column: str,
    key: Sequence[str],
    as_of: int | None = None,
    fingerprint: str = "",
) -> Explanation:
    """Explain the figure in one cell of the Publication; `as_of` is the build that `reader` holds as `earlier`.

    Raises UsageError where the table, the column or the key names nothing, or the key names several rows.
    """
    place = _find(reader, models, table, column, key)
    row = _row(reader, "lake", place)
    then = None if as_of is None else _row(reader, "earlier", place)
    if row is None and then is None:
        raise UsageError(
            f"no row of {table} has {_words(place.key)}.",
            where=f"build {reader.build_id}",
            do=_example(reader, place, list(place.model.grain or place.key)),
        )
    cluster_id, day = (row or then or {}).get("cluster_id"), (row or then or {}).get("day")
    basis = reader.sql("SELECT time_basis FROM lake.meta.clusters WHERE cluster_id = ?", [cluster_id]).to_pylist()
    publications = published.publications(reader)
    now = _figure(place, publications[reader.build_id], row)
    ran = compiled(reader, table, fingerprint=publications[reader.build_id]["fingerprint"])
    return Explanation(
        table=table,
        column=column,
        key={name: (row or then or {}).get(f"key_{name}") for name in place.key},
        table_description=place.model.description,
        definition=place.column.definition,
        unit=place.column.unit,
        no_parts=place.column.no_parts,
        cluster_id=cluster_id,
        day=day,
        time_basis=basis[0]["time_basis"] if basis else None,
        figure=now,
        why_unknown=_why_unknown(reader, place, cluster_id) if row and row["value"] is None else None,
        landings=_landings(reader, cluster_id, day, after=-1, through=reader.build_id),
        as_of=None if as_of is None else _as_of(reader, place, publications[as_of], then, now, cluster_id, day),
        definitions_are_newer=fingerprint not in {"", publications[reader.build_id]["fingerprint"]},
        sql_file=f"{_PROJECT}/{ran.file if ran else place.model.sql_file}",
        sql=ran.sql if ran else place.model.sql,
        sql_is_compiled=ran is not None,
        stands_on=tuple(
            StandsOn(each.name, f"{_PROJECT}/{each.file}" if each.file else None)
            for each in (ran.stands_on if ran else ())
        ),
        workings=_workings(reader, place, row),
    )


def _workings(reader: Reader, place: _Place, row: Mapping[str, Any] | None) -> Workings | None:
    if row is None or row["value"] is None:
        return None
    of = RowOf(row["cluster_id"], row["day"], row["hour_start_at"], row["machine_id"])
    return workings(reader, table=place.model.name, column=place.column.name, row=of)


def _find(reader: Reader, models: Mapping[str, Model], table: str, column: str, key: Sequence[str]) -> _Place:
    tables = [name for name in published.tables(reader, "lake") if name in models]
    if table not in tables:
        raise UsageError(f"there is no published table {table!r}.", do=_near(table, tables))
    types = published.columns(reader, "lake", table)
    if column not in types:
        raise UsageError(f"{table} has no column {column!r}.", do=_near(column, types))
    model = models[table]
    place = _Place(model, model.columns.get(column) or column_of({"name": column}), _parsed(key), types)
    allowed = model.grain or tuple(types)
    unknown = [name for name in place.key if name not in allowed]
    if unknown or not place.key:
        told = f"{unknown[0]!r} is no key column of {table}" if unknown else "no row is named"
        raise UsageError(
            f"{told}: its rows are told apart by {', '.join(allowed)}.", do=_example(reader, place, allowed)
        )
    days = {name: _day(value) for name, value in place.key.items() if types[name] == "DATE"}
    return _Place(model, place.column, {**place.key, **days}, types)


def _parsed(key: Sequence[str]) -> dict[str, str]:
    parts = [text.partition("=") for text in key]
    names = [name for name, _, _ in parts]
    for text, (name, equals, _) in zip(key, parts, strict=True):
        if not equals or not name or names.count(name) > 1:
            fault = "is given twice" if equals and name else "is not of the form COLUMN=VALUE"
            raise UsageError(f"--key {text!r} {fault}.", do="write each part once, as --key dt=1970-02-10")
    return {name: value for name, _, value in parts}


def _day(text: str) -> str:
    """A day as people see it where the clock is an offset, "day 40", is a date of the table."""
    number = _DAY_NUMBER.fullmatch(text)
    return date.fromordinal(date(1970, 1, 1).toordinal() + int(number[1])).isoformat() if number else text


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(name, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names)}"


def _example(reader: Reader, place: _Place, names: Sequence[str]) -> str:
    """Key options that name a row of the table; of the rows that the key leaves, where it leaves some."""
    table, columns = f'lake.main."{place.model.name}"', ", ".join(f'"{name}"' for name in names)
    query = f"SELECT {columns} FROM {table} WHERE {{}} ORDER BY ALL NULLS LAST LIMIT 1"
    known = [name for name in place.key if name in place.types]
    left = _Place(place.model, place.column, {name: place.key[name] for name in known}, place.types)
    found = reader.sql(query.format(left.where or "true"), left.bound) if known else None
    rows = (found if found and found.num_rows else reader.sql(query.format("true"))).to_pylist()
    told = [f"{name}={'' if value is None else value}" for name, value in (rows[0].items() if rows else ())]
    return f"for example {' '.join(f'--key {quote(text)}' for text in told)}" if rows else "the table is empty"


def _words(key: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in key.items())


def _row(reader: Reader, catalog: str, place: _Place) -> dict[str, Any] | None:
    """The one row that is meant, with the parts of the figure that its table can tell; None where there is none."""
    types = published.columns(reader, catalog, place.model.name)
    if not {place.column.name, *place.key} <= set(types):
        return None  # the table or the column came later
    parts = {part: computable(formula, types) for part, formula in place.column.parts.items()}
    day = place.day_column
    selected = [
        f'"{place.column.name}" AS value',
        *(f"({parts.get(part) or 'NULL'}) AS {part}" for part in PARTS),
        *(f'"{name}" AS "key_{name}"' for name in place.key),
        f"{'cluster_id' if 'cluster_id' in types else 'NULL::varchar'} AS cluster_id",
        f'"{day}" AS day' if day in types else "NULL::date AS day",
        *(name if name in types else f"NULL AS {name}" for name in ("hour_start_at", "machine_id")),
    ]
    rows: list[dict[str, Any]] = reader.sql(
        f'SELECT {", ".join(selected)} FROM {catalog}.main."{place.model.name}" WHERE {place.where} LIMIT 2',
        place.bound,
    ).to_pylist()
    if len(rows) > 1:
        names = place.model.grain or tuple(place.types)
        lacking = [name for name in names if name not in place.key]
        raise UsageError(
            f"several rows of {place.model.name} have {_words(place.key)}: "
            f"they are told apart by {', '.join(lacking) or 'no column'}.",
            do=_example(reader, place, names),
        )
    return rows[0] if rows else None


def _figure(place: _Place, publication: Mapping[str, Any], row: Mapping[str, Any] | None) -> Figure:
    parts = {
        part: Part(formula, row[part] if row else None) if (formula := place.column.parts.get(part)) else None
        for part in PARTS
    }
    return Figure(
        build_id=publication["build_id"],
        published_at=publication["published_at"],
        has_row=row is not None,
        value=row["value"] if row else None,
        **parts,
    )


def _why_unknown(reader: Reader, place: _Place, cluster_id: str | None) -> str | None:
    """Why the cluster's source cannot give this column at all, if it cannot."""
    if "gold_availability" not in published.tables(reader, "lake"):
        return None
    found = reader.sql(
        "SELECT reason, missing_table FROM lake.main.gold_availability "
        "WHERE cluster_id = ? AND table_name = ? AND column_name = ? AND NOT available",
        [cluster_id, place.model.name, place.column.name],
    ).to_pylist()
    if not found:
        return None
    missing = found[0]["missing_table"]
    return f"{missing} was not delivered: {found[0]['reason']}" if missing else str(found[0]["reason"])


def _landings(
    reader: Reader, cluster_id: str | None, day: date | None, *, after: int, through: int
) -> tuple[FedBy, ...]:
    """The landings of some builds that reach a day of the cluster; those without times, and the shared ones, reach all.

    A row of a job reaches every day of the job: a status moves what failed on a day that the row's own times do not touch.
    """
    found = reader.sql(
        """
        WITH asked AS (SELECT ?::varchar AS cluster_id, ?::date AS day, ?::bigint AS after, ?::bigint AS through),
        bounds AS (
            SELECT
                timezone('UTC', timezone(time_zone, day::timestamp)) AS starts_at,
                timezone('UTC', timezone(time_zone, (day + 1)::timestamp)) AS ends_at
            FROM asked JOIN lake.meta.clusters USING (cluster_id)
        )
        SELECT
            landing_id, table_name, file_name, rows_kept, min_event_at, max_event_at, min(build_id) AS first_build_id,
            max_event_at IS NULL OR starts_at IS NULL
            OR coalesce(min_event_at, max_event_at) < ends_at AND max_event_at >= starts_at AS reaches
        FROM ops.meta.landings AS landings JOIN ops.meta.published_landings USING (landing_id)
        CROSS JOIN asked LEFT JOIN bounds ON true
        WHERE build_id > after AND build_id <= through
            AND (
                asked.cluster_id IS NULL OR landings.cluster_id = asked.cluster_id
                OR landings.cluster_id NOT IN (SELECT cluster_id FROM lake.meta.clusters)
            )
        GROUP BY ALL ORDER BY min(landing_no)
        """,
        [cluster_id, day, after, through],
    ).to_pylist()
    by_jobs = set() if all(row["reaches"] for row in found) else _landings_of_jobs(reader, cluster_id, day)
    return tuple(FedBy(**row) for row in found if row.pop("reaches") or row["landing_id"] in by_jobs)


def _landings_of_jobs(reader: Reader, cluster_id: str | None, day: date | None) -> set[str]:
    """The landings with a row of a job that was submitted on this day, or held GPUs on it, now or in the older build."""
    delivered = _tables_with(reader, "lake", ("cluster_id", "job_id", "landing_id"), prefix="stg_")
    days = [
        (catalog, table, column)
        for catalog in ("lake", "earlier")
        for table, column in _JOB_DAYS
        if table in _tables_with(reader, catalog, ("cluster_id", "job_id", column), prefix="silver_")
    ]
    if not delivered or not days:
        return set()
    jobs = " UNION ".join(
        f"SELECT job_id FROM {catalog}.main.{table} WHERE cluster_id = ? AND {column} = ?"
        for catalog, table, column in days
    )
    rows = " UNION ALL ".join(f'SELECT cluster_id, job_id, landing_id FROM lake.main."{table}"' for table in delivered)
    found = reader.sql(
        f"SELECT DISTINCT landing_id FROM ({rows}) WHERE cluster_id = ? AND job_id IN ({jobs})",
        [cluster_id, *[cluster_id, day] * len(days)],
    )
    return set(found["landing_id"].to_pylist())


def _tables_with(reader: Reader, catalog: str, columns: Sequence[str], *, prefix: str) -> list[str]:
    found = reader.sql(
        "SELECT table_name FROM information_schema.columns WHERE table_catalog = ? AND table_schema = 'main' "
        "AND starts_with(table_name, ?) AND list_contains(?, column_name) "
        "GROUP BY table_name HAVING count(*) = ? ORDER BY table_name",
        [catalog, prefix, list(columns), len(columns)],
    )
    names: list[str] = found["table_name"].to_pylist()
    return names


def _as_of(
    reader: Reader,
    place: _Place,
    publication: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    now: Figure,
    cluster_id: str | None,
    day: date | None,
) -> AsOf:
    then = _figure(place, publication, row)
    since = {"after": publication["build_id"], "through": reader.build_id}
    touching = _landings(reader, cluster_id, day, **since)
    settings = _settings_changed(reader)
    same = publication["fingerprint"] == published.publications(reader)[reader.build_id]["fingerprint"]
    return AsOf(
        figure=then,
        moved={name: move for name in ("value", *PARTS) if (move := _move(name, then, now))},
        landings_since=touching,
        other_landings_since=len(_landings(reader, cluster_id, None, **since)) - len(touching),
        settings_changed=settings,
        definitions_changed=False if same else None if settings else True,
        sql=None if same else _sql_then(reader, place.model.name, publication["fingerprint"]),
    )


def _sql_then(reader: Reader, model: str, fingerprint: str) -> str | None:
    now = compiled(reader, model, fingerprint=published.publications(reader)[reader.build_id]["fingerprint"])
    then = compiled(reader, model, fingerprint=fingerprint, catalog="earlier")
    return then.sql if then and (now is None or now.sql != then.sql) else None


def _move(name: str, then: Figure, now: Figure) -> Move | None:
    a, b = (_value(getattr(each, name)) for each in (then, now))
    if a == b and (name != "value" or then.has_row == now.has_row):
        return None
    numbers = isinstance(a, int | float | Decimal) and isinstance(b, int | float | Decimal)
    return Move(a, b, float(b) - float(a) if numbers else None)


def _value(part: Any) -> Any:
    return part.value if isinstance(part, Part) else part


def _settings_changed(reader: Reader) -> tuple[str, ...]:
    """The clusters whose settings differ, or that stand in one build only, each in words."""
    then, now = (
        {row.pop("cluster_id"): row for row in reader.sql(f"FROM {catalog}.meta.clusters ORDER BY ALL").to_pylist()}
        for catalog in ("earlier", "lake")
    )
    told = [f"cluster {name} was not there" for name in now if name not in then]
    told += [f"cluster {name} is no longer there" for name in then if name not in now]
    for name in now.keys() & then.keys():
        told += [
            f"{setting} of {name} was {then[name][setting]} and is {now[name][setting]}"
            for setting in ("time_zone", "time_basis", "pools")
            if then[name].get(setting) != now[name].get(setting) and then[name].get(setting) is not None
        ]
    return tuple(sorted(told))
