"""A delivery of a thousand rows into a lake of the whole trace, beside the same into a lake of one of its days.

At GPULAKE_BENCH_SCALE=1 the whole is of the real trace's size, and takes half an hour to make.
"""

from __future__ import annotations

from pathlib import Path

from bench.deliveries import held_back
from bench.measure import GPULAKE, ROUNDS, Cost, Target, run, tell
from bench.traces import SCALE, fresh, trace

DAYS, DAY, ROWS = 62, 40, 1_000


def main() -> None:
    """Each round delivers other jobs of the one day, with all their rows and their workers' windows."""
    whole, one_day, late = held_back(trace(), days=DAYS, day=DAY, rows=ROWS, parts=ROUNDS)
    lakes = {name: _lake(name, data) for name, data in (("whole", whole), ("one-day", one_day))}
    costs: dict[str, list[Cost]] = {name: [] for name in lakes}
    for delivery in late:
        for name, lake in lakes.items():
            costs[name].append(run([GPULAKE, "refresh", "--data", str(delivery), "--lake", str(lake), "--json"]))
    tell(
        f"{ROWS:,} rows into the whole trace / into one day of it (scale {SCALE:g})",
        "62 days",
        costs["whole"],
        "one day",
        costs["one-day"],
        cpu=Target(2),
    )


def _lake(name: str, data: Path) -> Path:
    lake = fresh(f"thousand-rows-{name}")
    run([GPULAKE, "refresh", "--data", str(data), "--lake", str(lake), "--json"])
    return lake


if __name__ == "__main__":
    main()
