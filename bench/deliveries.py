"""A trace cut into deliveries: a folder for each day; or all but a thousand rows, and those."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_OF_JOBS = ("pai_job_table", "pai_task_table", "pai_instance_table", "pai_sensor_table")
_DAY_OF_ROW = {
    **{table: f"(SELECT day FROM job_days WHERE job_days.job_name = {table}.job_name)" for table in _OF_JOBS},
    "pai_group_tag_table": "coalesce("
    "(SELECT day FROM job_days WHERE job_days.inst_id = pai_group_tag_table.inst_id), any_day(inst_id))",
    "pai_machine_metric": "day_of(coalesce(end_time, start_time)::DOUBLE)",
}
"""The day on which a row of each table is delivered, from 1."""
_KEY = dict.fromkeys(_OF_JOBS, "job_name") | {"pai_group_tag_table": "inst_id", "pai_machine_metric": "worker_name"}
"""By what a row of each table belongs to a job."""
_MACHINES = "pai_machine_spec.csv"


def daily(source: Path, *, days: int) -> Path:
    """The trace as a cluster hands it over each day (UTC+8): folders 001, 002, …; the machines come with the first.

    A job comes with all its rows on the day of the last time that they tell: its end, or where nobody noted one its
    start. Jobs that never began have no time and come on any day. Windows come on the day of their end.
    """
    folder = source.with_name(f"{source.name}-daily")
    if not (folder / "complete").exists():
        _empty(folder)
        print(f"splitting {source} into {days} days", flush=True)
        with _days_of(source, days=days) as connection:
            # One thread and every file open: one file per table and day.
            connection.execute(f"SET threads = 1; SET partitioned_write_max_open_files = {days + 1}")
            for table, number in _DAY_OF_ROW.items():
                connection.execute(
                    f"COPY (SELECT *, printf('%03d', {number}) AS _day FROM {table}) TO '{folder / table}' "
                    "(FORMAT csv, HEADER, PARTITION_BY (_day))"
                )
                for part in (folder / table).glob("_day=*/*.csv"):
                    day = folder / part.parent.name.removeprefix("_day=")
                    day.mkdir(exist_ok=True)
                    part.rename(day / f"{table}.csv")
                shutil.rmtree(folder / table)
        (folder / "001" / _MACHINES).hardlink_to(source / _MACHINES)
        (folder / "complete").touch()
    return folder


def held_back(source: Path, *, days: int, day: int, rows: int, parts: int) -> tuple[Path, Path, list[Path]]:
    """The trace and its one day, both without some jobs of that day; and those jobs, about `rows` rows in each part.

    A job is held back with all its rows, also its workers' windows. Only jobs of few rows are, so that a part is full.
    """
    home = source.with_name(f"{source.name}-held-{day}-{rows}x{parts}")
    whole, one_day, late = home / "whole", home / "one-day", [home / f"late-{part}" for part in range(1, parts + 1)]
    if not (home / "complete").exists():
        _empty(home)
        print(f"holding {parts} times {rows:,} rows of day {day} back from {source}", flush=True)
        with _days_of(source, days=days) as connection:
            _hold(connection, day=day, rows=rows, parts=parts)
            for folder in (whole, one_day, *late):
                folder.mkdir()
            for table, key in _KEY.items():
                rest = f"SELECT {table}.* FROM {table} ANTI JOIN held_{key} USING ({key})"
                _write(connection, rest, whole / f"{table}.csv")
                _write(connection, f"{rest} WHERE {_DAY_OF_ROW[table]} = {day}", one_day / f"{table}.csv")
                for part, folder in enumerate(late, start=1):
                    held = f"(SELECT {key} FROM held_{key} WHERE part = {part})"
                    _write(connection, f"SELECT * FROM {table} WHERE {key} IN {held}", folder / f"{table}.csv")
        for folder in (whole, one_day):
            (folder / _MACHINES).hardlink_to(source / _MACHINES)
        (home / "complete").touch()
    return whole, one_day, late


@contextmanager
def _days_of(source: Path, *, days: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A view of each table, all columns text as they were written, and the day of each job."""
    import duckdb

    with duckdb.connect() as connection:
        for file in source.glob("*.csv"):
            connection.execute(f"CREATE VIEW {file.stem} AS FROM read_csv('{file}', all_varchar = true, header = true)")
        connection.execute(
            f"CREATE MACRO any_day(name) AS (md5_number_lower(name) % {days} + 1)::BIGINT; "
            "CREATE MACRO utc8_day(second) AS floor((second + 8 * 3600) / 86400)::BIGINT; "
            "SET VARIABLE first_day = (SELECT min(utc8_day(start_time::DOUBLE)) FROM pai_machine_metric); "
            f"CREATE MACRO day_of(second) AS greatest(1, least({days}, utc8_day(second) - getvariable('first_day') + 1))"
        )
        connection.execute(
            "CREATE TABLE job_days AS WITH told AS (SELECT job_name, start_time, end_time FROM pai_job_table "
            "UNION ALL SELECT job_name, start_time, end_time FROM pai_task_table "
            "UNION ALL SELECT job_name, start_time, end_time FROM pai_instance_table), "
            "last AS (SELECT job_name, max(greatest(start_time::DOUBLE, end_time::DOUBLE)) AS last_s FROM told "
            "GROUP BY ALL) "
            "SELECT job_name, any_value(inst_id) AS inst_id, "
            # least and greatest pass over null: a job without a time would come on the last day.
            "any_value(CASE WHEN last_s > 0 THEN day_of(last_s) ELSE any_day(job_name) END) AS day "
            "FROM last LEFT JOIN (SELECT job_name, inst_id FROM pai_job_table) USING (job_name) GROUP BY job_name"
        )
        yield connection


def _hold(connection: duckdb.DuckDBPyConnection, *, day: int, rows: int, parts: int) -> None:
    counted = " UNION ALL ".join(f"SELECT job_name FROM {table}" for table in _OF_JOBS)
    connection.execute(
        "CREATE TABLE workers AS SELECT DISTINCT worker_name, job_name FROM pai_instance_table "
        f"SEMI JOIN (FROM job_days WHERE day = {day}) USING (job_name) WHERE worker_name IS NOT NULL"
    )
    connection.execute(
        f"CREATE TABLE held AS WITH counted AS (SELECT job_name, count(*) AS n FROM ({counted} "
        "UNION ALL SELECT job_name FROM pai_machine_metric JOIN workers USING (worker_name) "
        "UNION ALL SELECT job_name FROM pai_group_tag_table JOIN job_days USING (inst_id)) GROUP BY ALL), "
        f"few AS (SELECT * FROM counted JOIN job_days USING (job_name) WHERE day = {day} AND n <= {rows // 10}), "
        "summed AS (SELECT *, sum(n) OVER (ORDER BY md5(job_name)) AS so_far FROM few) "
        f"SELECT job_name, inst_id, (so_far - 1) // {rows} + 1 AS part FROM summed WHERE so_far <= {rows * parts}"
    )
    for name, of in (("job_name", "held"), ("inst_id", "held"), ("worker_name", "held JOIN workers USING (job_name)")):
        connection.execute(f"CREATE TABLE held_{name} AS SELECT DISTINCT {name}, part FROM {of} WHERE {name} NOT NULL")


def _write(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    connection.execute(f"COPY ({query}) TO '{file}' (FORMAT csv, HEADER)")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
