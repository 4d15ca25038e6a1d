"""What each gold table and view costs its reader: CPU on a connection that is warm, in the lake that `make demo` makes."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from bench.measure import GPULAKE, ROOT, Target, run, run_script, verdict
from bench.traces import kept

READS = 5
MOST_MS = Target(20)
GOLD = (
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = 'lake' "
    "AND table_schema = 'main' AND table_name LIKE 'gold%' ORDER BY table_name"
)


def read(lake: str) -> dict[str, float]:
    """CPU ms by table: every column of every row, counted inside DuckDB; and the rows alone."""
    from gpulake.lake import open_publication

    figures: dict[str, float] = {}
    with open_publication(Path(lake)) as reader:
        for table in reader.sql(GOLD).to_pylist():
            name = table["table_name"]
            figures[f"view {name}"] = float(table["table_type"] == "VIEW")
            for what, chosen in (("whole", "count(COLUMNS(*))"), ("count", "count(*)")):
                query = f'SELECT {chosen} FROM lake.main."{name}"'
                reader.sql(query)  # warms it
                figures[f"{what} {name}"] = median(_cpu_ms(lambda query=query: reader.sql(query)) for _ in range(READS))
    return figures


def _cpu_ms(read_once) -> float:
    before = time.process_time()
    read_once()
    return (time.process_time() - before) * 1_000


def demo_lake() -> Path:
    """The demo's lake, made if this state of the code has not made it yet."""
    home = kept("demo")
    lake, made = home / "lake", home / "made"
    if not (home / "complete").exists():
        print(f"making the demo's lake in {home}", flush=True)
        run([GPULAKE, "simulate", "pai2020", "--scale", "0.05", "--days", "62", "--faults", "--out", str(made)])
        run([GPULAKE, "land", "--data", str(ROOT / "examples" / "openb2023"), "--lake", str(lake)])
        run([GPULAKE, "refresh", "--data", str(made), "--lake", str(lake)])
        (home / "complete").touch()
    return lake


def main() -> None:
    """Dearest first."""
    _, figures = run_script(read, demo_lake())
    names = [key.removeprefix("whole ") for key in figures if key.startswith("whole ")]
    names.sort(key=lambda name: -figures[f"whole {name}"])
    print(f"\nCPU ms to read gold, warm, median of {READS}: every column of every row; count(*)")
    for name in names:
        whole, count = figures[f"whole {name}"], figures[f"count {name}"]
        kind = "view" if figures[f"view {name}"] else "table"
        print(f"  {name:32} {kind:5} {whole:7.1f} {count:7.1f}{verdict(max(whole, count), MOST_MS)}")
    met = sum(max(figures[f"whole {name}"], figures[f"count {name}"]) <= MOST_MS.most for name in names)
    print(f"  {met} of {len(names)} within {MOST_MS.most:g} ms", flush=True)


if __name__ == "__main__":
    main()
