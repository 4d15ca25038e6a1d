"""Every bench but daily_deliveries and follow, which take hours, or those named: python -m bench [NAME …].

GPULAKE_BENCH_SCALE (0.05; 1 is the real trace's size), GPULAKE_BENCH_ROUNDS (2), GPULAKE_BENCH_HOME (out/bench),
GPULAKE_BENCH_DAYS (620, of daily_deliveries).
"""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import import_module
from importlib.metadata import version

from bench.measure import ROUNDS
from bench.traces import HOME, SCALE

BENCHES = (
    "refresh_and_five_steps",
    "land_and_copy",
    "archive_and_csv",
    "nothing_new",
    "one_touched_day",
    "dbt_child_and_cli",
    "machine_hours",
    "reconstruction",
    "accounting",
    "thousand_rows",
    "gpu_samples",
    "sacct",
    "collect_nvml",
    "stream",
    "gold_reads",
    "pages_with_readers",
    "detection",
    "health",
)


def main() -> None:
    """Timed figures are printed, never asserted: the machine may be busy."""
    chosen = sys.argv[1:] or BENCHES
    libraries = ("duckdb", "dbt-core", "polars", "pyarrow", "scikit-learn")
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(", ".join(f"{name} {version(name)}" for name in libraries))
    print(f"scale {SCALE:g}, {ROUNDS} rounds of A and B in turn, in {HOME}")
    print("cpu = user + system with children; rss = peak of the largest process")
    started = time.monotonic()
    for name in chosen:
        import_module(f"bench.{name}").main()
    print(f"\n{time.monotonic() - started:.0f} s in all, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
