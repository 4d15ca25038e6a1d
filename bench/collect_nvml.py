"""An hour of `gpulake collect nvml`: eight GPUs every ten seconds, landed every five minutes, against the tests' own NVML.

What the driver itself takes to answer is not in it.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path

from bench.measure import ROOT, Target, run_script, verdict
from bench.traces import fresh

HOUR_S = 3600.0


def collect_for_an_hour(lake: str) -> dict[str, float]:
    """CPU seconds of an hour by a clock that nobody waits for, and the rows that landed; a first five minutes before."""
    from gpulake.collecting import nvml
    from gpulake.collecting.running import collect
    from gpulake.config import Config

    spec = importlib.util.spec_from_file_location("fake", ROOT / "tests" / "unit" / "collecting" / "test_nvml.py")
    assert spec
    assert spec.loader
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    watch = fake.FakeWatch()

    def measured(asked):
        return nvml.collect(asked, nvml=fake.FakeNvml(8), watch=nvml.Watch(watch.now, watch.sleep))

    collector, spent, rows = replace(nvml.COLLECTOR, collect=measured), 0.0, 0
    for length_s in (300.0, HOUR_S):
        options = {"every": 10.0, "for_": length_s, "rotate": 300.0, "machine": "n1"}
        before = time.process_time()
        done = collect(Config(lake=Path(lake)), collector, options=options, environ={})
        spent, rows = time.process_time() - before, done.rows
        if done.error:
            raise done.error
    return {"cpu": spent, "rows": float(rows)}


def main() -> None:
    """Percent of a core."""
    _, figures = run_script(collect_for_an_hour, fresh("collect-nvml"))
    percent = 100 * figures["cpu"] / HOUR_S
    print(f"\nCollect nvml for an hour, {figures['rows']:,.0f} rows: {figures['cpu']:.1f} s cpu")
    print(f"  {percent:.2f} % of a core{verdict(percent, Target(1))}")


if __name__ == "__main__":
    main()
