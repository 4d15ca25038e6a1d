"""The models' SQL after a landing that touches one day, beside the full build; and the same on ten times the history."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from bench.measure import ROUNDS, Cost, Target, run_script, tell
from bench.traces import SCALE, fresh, split_by_day, trace

DAY = 40
HISTORY = 10


def build_twice(rest: str, late: str, lake: str) -> dict[str, float]:
    """Land the rest and build all of it, land the late day and build what it touches: seconds and CPU of the models."""
    from gpulake import config, pipeline

    settings = config.load(os.environ, lake=Path(lake))
    pipeline.land(settings, data=Path(rest))
    pipeline.build(settings, full=True)
    # What is published is no longer pending.
    pipeline.detect(settings)
    pipeline.publish(settings)
    # Full once more on a copy: the lake itself has been built once, as others are.
    copy = shutil.copytree(lake, f"{lake}-copy", dirs_exist_ok=True)
    full = _build(config.load(os.environ, lake=Path(copy)), full=True)
    shutil.rmtree(copy)
    pipeline.land(settings, data=Path(late))
    day = _build(settings, full=False)
    figures = {f"full_{name}": value for name, value in full.items()}
    return figures | {f"day_{name}": value for name, value in day.items()}


def _build(settings, *, full: bool) -> dict[str, float]:
    from gpulake import lake, meta
    from gpulake.dbt.warehouse import Warehouse

    with (
        lake.writing(settings.lake, purpose="bench") as writer,
        Warehouse(settings.lake, writer=writer) as dbt,
    ):
        landed = meta.landed_sources(writer)
        before = time.process_time()
        # What dbt writes down where it has not yet, in a process of its own, is no part of it.
        result = dbt.build(full=full, sources=landed)
        spent = time.process_time() - before
    if not result.ok:
        raise SystemExit(result.why())
    models = [node for node in result.nodes if node.kind == "model"]
    return {"sql_s": sum(node.seconds for node in models), "cpu": spent, **{n.name: n.seconds for n in models}}


def _slowest(figures: dict[str, float], build: str) -> str:
    models = {n.removeprefix(f"{build}_"): s for n, s in figures.items() if n.startswith(f"{build}_")}
    named = sorted(((s, n) for n, s in models.items() if n not in {"sql_s", "cpu"}), reverse=True)[:5]
    return ", ".join(f"{name} {seconds:.2f} s" for seconds, name in named)


def main() -> None:
    """The same fleet in both: ten times the history is ten times the days."""
    short = split_by_day(trace(), day=DAY)
    # A fleet that is small enough for ten times the history to be made in seconds.
    small = min(SCALE, 0.02)
    once = split_by_day(trace(scale=small), day=DAY)
    tenfold = split_by_day(trace(scale=small, days=62 * HISTORY), day=DAY * HISTORY)
    runs = {"short": [], "once": [], "tenfold": []}
    for _ in range(ROUNDS):
        for name, (rest, late) in (("short", short), ("once", once), ("tenfold", tenfold)):
            runs[name].append(run_script(build_twice, rest, late, fresh(f"day-{name}"))[1])
    for name in runs:
        print(f"\n{name}: {_slowest(runs[name][-1], 'full')}; one day: {_slowest(runs[name][-1], 'day')}")
    tell(
        f"SQL of one touched day / of a full build (scale {SCALE:g})",
        "one day",
        [Cost(run["day_sql_s"], run["day_cpu"]) for run in runs["short"]],
        "every day",
        [Cost(run["full_sql_s"], run["full_cpu"]) for run in runs["short"]],
        wall=Target(0.10, 0.05),
        cpu=Target(0.10, 0.05),
    )
    tell(
        f"One touched day on ten times the history / on the history (scale {small:g})",
        f"{62 * HISTORY} days",
        [Cost(run["day_sql_s"], run["day_cpu"]) for run in runs["tenfold"]],
        "62 days",
        [Cost(run["day_sql_s"], run["day_cpu"]) for run in runs["once"]],
        wall=Target(1.3, 1.1),
        cpu=Target(1.3, 1.1),
    )


if __name__ == "__main__":
    main()
