"""A day of a fleet's GPU samples from Parquet to gold, beside the bare tools; one hour more of it; a year of health read.

A thousand GPUs every 30 seconds at GPULAKE_BENCH_SCALE=1: 2.9 million rows of 20 fields. The lake knows the fleet, its jobs
and the hour before; then come 23 hours, and the last one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.measure import GPULAKE, ROUNDS, Cost, Target, run, run_script, tell, verdict
from bench.traces import HOME, SCALE, fresh

if TYPE_CHECKING:
    import duckdb

NODES = max(2, round(125 * SCALE))
CLUSTER, ZONE, DAY = "site", "UTC", "2026-03-03"
FIELDS = (
    *("gpu_util_pct", "gr_engine_active_ratio", "sm_active_ratio", "sm_occupancy_ratio", "tensor_active_ratio"),
    *("dram_active_ratio", "mem_copy_util_pct", "memory_used_bytes", "memory_total_bytes", "power_w", "power_limit_w"),
    *("energy_j", "temperature_c", "memory_temperature_c", "sm_clock_hz", "mem_clock_hz", "clocks_event_reasons"),
    *("pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s", "ecc_sbe_volatile"),
)
"""Of the samples; besides them the machine, the device's place and uuid, the time, and what kind of sample it is."""
YEAR, READS = 365, 5
_SAMPLES = "plain_gpu_samples.parquet"


def deliveries() -> tuple[Path, Path, Path]:
    """What the lake knows before, 23 hours of a day, and its last hour."""
    home = HOME / f"site-{NODES}"
    before, day, hour = home / "before", home / "day", home / "hour"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        print(f"simulating {NODES} machines of 8 GPUs into {home}", flush=True)
        made = home / "made"
        of = ["--nodes", str(NODES), "--days", "2", "--start", "2026-03-02", "--zone", ZONE, "--as", "plain"]
        run([GPULAKE, "simulate", "site", *of, "--out", str(made)])
        for folder in (before, day, hour):
            folder.mkdir()
        for file in (made / "plain").iterdir():
            if file.name == _SAMPLES:
                _split(
                    file,
                    {
                        before: ("2026-03-02 23:00", DAY),
                        day: (DAY, f"{DAY} 23:00"),
                        hour: (f"{DAY} 23:00", "2026-03-04"),
                    },
                )
            elif not file.name.startswith("plain_machine_samples"):
                file.rename(before / file.name)
        shutil.rmtree(made)
        (home / "complete").touch()
    return before, day, hour


def _split(samples: Path, parts: dict[Path, tuple[str, str]]) -> None:
    """By time; rows come as they are measured, all GPUs at each moment."""
    import polars as pl

    known = ("machine_id", "gpu_index", "sampled_at", "gpu_uuid", "sample_kind")
    rows = pl.scan_parquet(samples).select(*known, *FIELDS).sort("sampled_at", "machine_id", "gpu_index").collect()
    at = pl.col("sampled_at").dt.replace_time_zone(None)
    for folder, (since, until) in parts.items():
        times = [pl.lit(moment).str.to_datetime(_form(moment)) for moment in (since, until)]
        rows.filter(at.is_between(*times, closed="left")).write_parquet(folder / _SAMPLES, compression="zstd")


def _form(moment: str) -> str:
    return "%Y-%m-%d %H:%M" if " " in moment else "%Y-%m-%d"


def bare(samples: str, lake: str) -> dict[str, float]:
    """What DuckDB alone makes of them: read once, twelve aggregates by GPU and hour, and both written into a lake."""
    from gpulake import lake as lakes

    with _lake(Path(lake)) as connection:
        connection.execute(f"CREATE TABLE lake.samples AS FROM read_parquet('{samples}')")
        connection.execute(
            "CREATE TABLE lake.hours AS SELECT machine_id, gpu_index, date_trunc('hour', sampled_at) AS hour, count(*), "
            "avg(gpu_util_pct), avg(sm_active_ratio), avg(tensor_active_ratio), avg(dram_active_ratio), "
            "avg(memory_used_bytes), avg(power_w), max(power_w), max(temperature_c), min(sm_clock_hz), "
            f"max(energy_j) - min(energy_j), max(ecc_sbe_volatile) FROM read_parquet('{samples}') GROUP BY ALL"
        )
        (rows,) = connection.execute("SELECT count(*) FROM lake.samples").fetchone() or (0,)
    assert lakes
    return {"rows": float(rows), "bytes_a_row": _size(Path(lake) / "data" / "main" / "samples") / rows}


@contextmanager
def _lake(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty DuckLake with the options of ours."""
    from gpulake.lake.connection import attach, connect
    from gpulake.lake.writer import _CATALOG_OPTIONS

    folder.mkdir(parents=True)
    (folder / "data").mkdir()
    connection = connect()
    try:
        connection.execute("SET threads = 2")
        attach(connection, folder / "catalog.duckdb", folder / "data", alias="lake")
        for name, value in _CATALOG_OPTIONS.items():
            connection.execute(f"CALL lake.set_option('{name}', ?)", [value])
        yield connection
    finally:
        connection.close()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def kept(lake: str) -> dict[str, float]:
    """Rows and bytes of the newest version of each table that holds samples, or hours of them."""
    from gpulake.lake import writing

    with writing(Path(lake), purpose="bench") as writer:
        found = writer.sql(
            "SELECT held.table_name AS name, sum(record_count) AS n, sum(file_size_bytes) AS bytes "
            "FROM __ducklake_metadata_lake.ducklake_data_file AS file "
            "INNER JOIN __ducklake_metadata_lake.ducklake_table AS held USING (table_id) "
            "WHERE file.end_snapshot IS NULL AND held.end_snapshot IS NULL AND held.table_name IN "
            "('bronze_plain_gpu_samples', 'silver_gpu_samples', 'silver_gpu_hours') GROUP BY ALL"
        ).to_pylist()
    return {f"{what} {row['name']}": float(row[what]) for row in found for what in ("n", "bytes")}


def health_of_a_year(lake: str, copy: str) -> dict[str, float]:
    """A year of the health marts as one day's is, laid out as the models lay them: CPU ms of the page's questions, warm."""
    from gpulake.reading import health

    with _lake(Path(copy)) as connection:
        from gpulake.lake import open_publication

        with open_publication(Path(lake)) as reader:
            for mart in ("gold_gpu_health_daily", "gold_error_spikes_daily", "gold_gpu_incidents", "gold_reliability"):
                connection.register("mart", reader.sql(f"SELECT * FROM lake.main.{mart}"))
                days, chosen = (
                    ("range(1)", "*")
                    if mart == "gold_reliability"
                    else (f"range({YEAR})", "* REPLACE (CAST(dt + CAST(day.range AS INTEGER) AS DATE) AS dt)")
                )
                of_day = "" if mart == "gold_reliability" else f"WHERE mart.dt = DATE '{DAY}'"
                connection.execute(
                    f"CREATE TABLE lake.{mart} AS SELECT {chosen[0:]} FROM mart, {days} AS day {of_day} LIMIT 0"
                )
                if mart == "gold_gpu_health_daily":
                    connection.execute(f"ALTER TABLE lake.{mart} SET PARTITIONED BY (year(dt), month(dt))")
                connection.execute(f"INSERT INTO lake.{mart} SELECT {chosen} FROM mart, {days} AS day {of_day}")
        connection.execute("USE lake")
        figures = {"rows": float(connection.execute("SELECT count(*) FROM gold_gpu_health_daily").fetchone()[0])}
        days = (CLUSTER, "2026-01-01", "2028-01-01")
        questions = {
            "gpus": health.gpus_query(),
            "groups": health.groups_query(),
            "incidents": health.INCIDENTS,
            "alike": health.ALIKE,
            "spikes": health.SPIKES,
            "reliability": health.RELIABILITY,
        }
        for name, query in questions.items():
            asked = days[: query.count("?")]
            figures[name] = _ms(lambda query=query, asked=asked: connection.execute(query, asked).fetchall())
        whole = "SELECT count(COLUMNS(*)) FROM gold_gpu_health_daily"
        figures["whole"] = _ms(lambda: connection.execute(whole).fetchall())
    return figures


def _ms(read) -> float:
    read()
    spent = []
    for _ in range(READS):
        before = time.monotonic()
        read()
        spent.append((time.monotonic() - before) * 1_000)
    return median(spent)


def main() -> None:
    """Refreshes and bare runs in turn, then what is kept, then health."""
    before, day, hour = deliveries()
    ours: list[Cost] = []
    theirs: list[Cost] = []
    last: list[Cost] = []
    figures: dict[str, float] = {}
    for _ in range(ROUNDS):
        lake = fresh("gpu-samples")
        _refresh(before, lake)
        ours.append(_refresh(day, lake))
        cost, figures = run_script(bare, day / _SAMPLES, fresh("gpu-samples-bare"))
        theirs.append(cost)
        last.append(_refresh(hour, lake))
    rows = f"{figures['rows']:,.0f} samples"
    tell(
        f"{rows} of 20 fields, Parquet to gold / bare",
        "refresh",
        ours,
        "bare",
        theirs,
        cpu=Target(1.3),
        limit_rss=Target(1536),
    )
    tell("The last hour of that day / the 23 before it", "an hour", last, "23 hours", ours, cpu=Target(0.10))
    _, held = run_script(kept, lake)
    samples = held["n silver_gpu_samples"]
    per_row = sum(size for name, size in held.items() if name.startswith("bytes")) / samples
    print(f"\nbytes kept for each of {samples:,.0f} samples: {per_row:.1f}{verdict(per_row, Target(40))}")
    for name in sorted(name.removeprefix("bytes ") for name in held if name.startswith("bytes")):
        print(f"  {name:28} {held[f'bytes {name}'] / samples:6.1f} ({held[f'n {name}']:,.0f} rows)")
    print(f"  {'the bare lake':28} {figures['bytes_a_row']:6.1f}")
    _, read = run_script(health_of_a_year, lake, fresh("gpu-samples-year"))
    print(f"\nms to read a year of health, {read.pop('rows'):,.0f} days of GPUs, warm, median of {READS}")
    for name, spent in read.items():
        print(f"  {name:12} {spent:6.1f}{verdict(spent, Target(50))}")


def _refresh(data: Path, lake: Path) -> Cost:
    return run([GPULAKE, "refresh", "--data", str(data), "--cluster", CLUSTER, "--lake", str(lake), "--json"])


if __name__ == "__main__":
    main()
