"""The whole refresh of five tables, beside the same in five separate steps on the same files."""

from __future__ import annotations

from bench.measure import GPULAKE, ROOT, Cost, Target, compare, run
from bench.traces import SCALE, fresh, mission_trace

RUN = ROOT / "bench" / "mission_five_steps" / "run.py"
WITH_PANDAS = str(ROOT / ".tools" / "venv-bench" / "bin" / "python")
"""The five steps have an environment of their own (`scripts/setup bench`): nobody who uses gpulake has pandas in theirs."""


def main() -> None:
    """Ours: hash, contract, source_row, dbt build and tests, right figures, forest, publication."""
    data = mission_trace()

    def ours() -> Cost:
        return run([GPULAKE, "refresh", "--data", str(data), "--lake", str(fresh("refresh")), "--json"])

    def theirs() -> Cost:
        return run([WITH_PANDAS, str(RUN), str(data), str(fresh("five-steps"))])

    compare(
        f"Refresh of five tables / the five separate steps (scale {SCALE:g})",
        ("gpulake refresh", ours),
        ("pandas, dbt run, dbt test, train, score", theirs),
        wall=Target(1.0, 0.6),
        cpu=Target(1.25, 0.87),
        rss=Target(0.25, 0.14),
    )


if __name__ == "__main__":
    main()
