"""The right machine-hours, beside silver and gold by plain means over rows: the same bronze rows, in one process each."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.measure import GPULAKE, ROOT, ROUNDS, Cost, Target, run, run_script, tell
from bench.traces import SCALE, fresh, trace

NAIVE = ROOT / "bench" / "mission_five_steps" / "dbt_project" / "gpu_telemetry" / "models"


def right(lake: str) -> dict[str, float]:
    """The compiled SQL of silver_machine_hours, as a table."""
    from gpulake.lake import Layout

    folder = Layout(Path(lake)).folder / "dbt" / "target" / "compiled"
    (file,) = folder.rglob("silver_machine_hours.sql")
    return _cost_of([f"CREATE TABLE memory.main.made AS {file.read_text()}"], lake)


def naive(lake: str) -> dict[str, float]:
    """silver_jobs, silver_gpu_timeseries and gold_cluster_util_daily by plain means over rows."""
    statements = []
    for name in ("silver/silver_jobs", "silver/silver_gpu_timeseries", "gold/gold_cluster_util_daily"):
        sql = (NAIVE / f"{name}.sql").read_text()
        for table in ("bronze_job_events", "bronze_machine_metrics"):
            sql = sql.replace(f"{{{{ ref('{table}') }}}}", f"lake.main.{table}")
        sql = sql.replace("{{ ref('silver_gpu_timeseries') }}", "memory.main.silver_gpu_timeseries")
        statements.append(f"CREATE TABLE memory.main.{Path(name).name} AS {sql}")
    return _cost_of(statements, lake)


def _cost_of(statements: list[str], lake: str) -> dict[str, float]:
    import duckdb

    from gpulake import lake as house
    from gpulake.dbt import functions

    layout = house.Layout(Path(lake))
    publication = layout.publication()
    assert publication is not None
    with duckdb.connect() as connection:
        for name in house.EXTENSIONS:
            connection.execute(f"LOAD '{house.extension_file(name)}'")
        connection.execute("SET TimeZone = 'UTC'")
        functions.register(connection)
        options = house.attach_options(layout.data, version=publication.ops_version)
        connection.execute(f"ATTACH 'ducklake:{layout.folder / publication.catalog}' AS lake ({options})")
        before, started = os.times(), time.monotonic()
        for statement in statements:
            connection.execute(statement)
        wall, after = time.monotonic() - started, os.times()
    return {"wall": wall, "cpu": after.user + after.system - before.user - before.system}


def main() -> None:
    """Both read the same lake and keep their tables in memory."""
    lake = fresh("machine-hours")
    run([GPULAKE, "refresh", "--data", str(trace()), "--lake", str(lake), "--json"])
    costs: dict[str, list[Cost]] = {"right": [], "naive": []}
    for _ in range(ROUNDS):
        for script in (right, naive):
            whole, figures = run_script(script, lake)
            costs[script.__name__].append(Cost(figures["wall"], figures["cpu"], whole.rss))
    tell(
        f"Right machine-hours / silver and gold by plain means over rows (scale {SCALE:g})",
        "machine-hours by sweep",
        costs["right"],
        "plain means",
        costs["naive"],
        cpu=Target(6, 4.6),
    )


if __name__ == "__main__":
    main()
