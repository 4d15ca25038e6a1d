"""The accounting models' SQL: beside one scan of the instances, on spans 64 times as long, and in 1 GB of memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.measure import GPULAKE, ROUNDS, Cost, Target, run, run_script, tell
from bench.traces import SCALE, fresh, stretched, trace

MODELS = ("silver_allocation_days", "silver_job_days", "silver_allocation_hours", "silver_machine_days")
USER_DAYS = (
    "SELECT cluster_id, dt, user_id, sum(allocated_mgpu_s), sum(active_mgpu_s), sum(unknown_mgpu_s) "
    "FROM memory.main.silver_job_days LEFT JOIN lake.main.silver_jobs USING (cluster_id, job_id) GROUP BY ALL"
)
FACTOR = 64


def account(lake: str, memory: str) -> dict[str, float]:
    """The compiled SQL of the accounting models, each as a table in memory, and the days of users."""
    from gpulake.lake import Layout

    folder = Layout(Path(lake)).folder / "dbt" / "target" / "compiled"
    statements = []
    for name in MODELS:
        (file,) = folder.rglob(f"{name}.sql")
        sql = file.read_text()
        for other in MODELS:
            sql = sql.replace(f'"lake"."main"."{other}"', f"memory.main.{other}")
        statements.append(f"CREATE TABLE memory.main.{name} AS {sql}")
    return _cost_of([*statements, f"CREATE TABLE memory.main.user_days AS {USER_DAYS}"], lake, memory)


def scan(lake: str, memory: str) -> dict[str, float]:
    """Every column of the instance table, counted."""
    from gpulake.sources import pai2020

    columns = ", ".join(f'count("{column.name}")' for column in pai2020.INSTANCE.columns)
    return _cost_of([f"SELECT {columns} FROM lake.main.{pai2020.INSTANCE.bronze}"], lake, memory)


def _cost_of(statements: list[str], lake: str, memory: str) -> dict[str, float]:
    import duckdb

    from gpulake import lake as house

    layout = house.Layout(Path(lake))
    publication = layout.publication()
    assert publication is not None
    with duckdb.connect() as connection:
        for name in house.EXTENSIONS:
            connection.execute(f"LOAD '{house.extension_file(name)}'")
        connection.execute("SET TimeZone = 'UTC'")
        # As the largest model's own hook sets it.
        connection.execute("SET disabled_optimizers = 'statistics_propagation,build_side_probe_side'")
        connection.execute(f"SET memory_limit = '{memory}'")
        connection.execute(f"SET temp_directory = '{layout.folder / 'scratch'}'")
        options = house.attach_options(layout.data, version=publication.ops_version)
        connection.execute(f"ATTACH 'ducklake:{layout.folder / publication.catalog}' AS lake ({options})")
        before, started = os.times(), time.monotonic()
        for statement in statements:
            connection.execute(statement).fetchall()
        wall, after = time.monotonic() - started, os.times()
    return {"wall": wall, "cpu": after.user + after.system - before.user - before.system}


def main() -> None:
    """The tables stay in memory; what the lake adds is its own bench's."""
    lake = _lake("accounting", trace())
    short = _lake("accounting-x1", trace(scale=min(SCALE, 0.13)))
    long = _lake("accounting-x64", stretched(trace(scale=min(SCALE, 0.13)), factor=FACTOR))
    runs = {
        "accounting": (account, lake, "8GB"),
        "scan": (scan, lake, "8GB"),
        "narrow": (account, lake, "1GB"),
        "long": (account, long, "8GB"),
        "short": (account, short, "8GB"),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (script, where, memory) in runs.items():
            whole, figures = run_script(script, where, memory)
            costs[name].append(Cost(figures["wall"], figures["cpu"], whole.rss))
    tell(
        f"Full accounting / one scan of the instances (scale {SCALE:g})",
        "spans, day parts, machine-hours, job-, machine- and user-days",
        costs["accounting"],
        "scan",
        costs["scan"],
        cpu=Target(14, 9),
    )
    tell(
        f"Accounting in 1 GB / in 8 GB (scale {SCALE:g})",
        "1 GB",
        costs["narrow"],
        "8 GB",
        costs["accounting"],
        cpu=Target(1.8, 1.6),
        limit_rss=Target(1.6 * 1024),
    )
    tell(
        f"The same spans, {FACTOR} times as long / as they are (scale {min(SCALE, 0.13):g})",
        "long",
        costs["long"],
        "short",
        costs["short"],
        cpu=Target(4, 3.3),
        limit_rss=Target(2 * 1024),
    )


def _lake(name: str, data: Path) -> Path:
    lake = fresh(name)
    run([GPULAKE, "refresh", "--data", str(data), "--lake", str(lake), "--json"])
    return lake


if __name__ == "__main__":
    main()
