"""Runs two commands in turn, A B A B, and prints their ratio beside its target and its floor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
GPULAKE = str(Path(sys.executable).with_name("gpulake"))
ROUNDS = int(os.environ.get("GPULAKE_BENCH_ROUNDS", "2"))
_UNITS = {"wall": "s", "cpu": "s", "rss": "MiB"}


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds by the clock, CPU seconds with its children's, MiB of its largest process."""

    wall: float
    cpu: float
    rss: float = float("nan")


@dataclass(frozen=True)
class Target:
    """The most that A may cost per cost of B, and the floor: what was reached with the bare tools."""

    most: float
    floor: float | None = None


def run(command: Sequence[str], *, env: dict[str, str] | None = None, answer: Path | None = None) -> Cost:
    """Run one command to its end. Its standard output goes to the file `answer`. Raises when it fails."""
    with tempfile.TemporaryFile() as log:
        out = answer.open("wb") if answer else None
        started = time.monotonic()
        child = subprocess.Popen(
            list(command), stdout=out or log, stderr=log, env={**os.environ, **(env or {})}, cwd=ROOT
        )
        # Of this child and of all that it waited for: dbt's process is the largest and costliest of a refresh.
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if out:
            out.close()
        if child.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)} failed ({child.returncode}):\n{log.read().decode()[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_script(script: Callable[..., object], *arguments: object) -> tuple[Cost, dict[str, float]]:
    """Run a function of a bench in a process of its own: what it cost, and the figures that it returned."""
    code = (
        "import json, sys; from importlib import import_module; "
        "print(json.dumps(getattr(import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:]) or {}))"
    )
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        name = script.__module__
        cost = run([PYTHON, "-c", code, name, script.__name__, *map(str, arguments)], answer=answer)
        return cost, json.loads(answer.read_text().splitlines()[-1])


def compare(
    title: str,
    a: tuple[str, Callable[[], Cost]],
    b: tuple[str, Callable[[], Cost]],
    *,
    rounds: int = ROUNDS,
    **targets: Target,
) -> None:
    """Run A and B in turn and print the ratios of their sums (memory: of the larger peaks)."""
    costs: dict[str, list[Cost]] = {a[0]: [], b[0]: []}
    for _ in range(rounds):
        for name, run_one in (a, b):
            costs[name].append(run_one())
    tell(title, a[0], costs[a[0]], b[0], costs[b[0]], **targets)


def tell(title: str, a: str, a_costs: Sequence[Cost], b: str, b_costs: Sequence[Cost], **targets: Target) -> None:
    """Print one comparison: each run, then a line per ratio."""
    print(f"\n{title}")
    for letter, name, costs in (("A", a, a_costs), ("B", b, b_costs)):
        runs = "; ".join(f"{cost.wall:.2f} s, {cost.cpu:.2f} cpu, {cost.rss:.0f} MiB" for cost in costs)
        print(f"  {letter} {name}: {runs}".replace(", nan MiB", ""))
    for what in ("wall", "cpu", "rss"):
        one, other = (_total(costs, what) for costs in (a_costs, b_costs))
        if one == one and other == other and other:  # noqa: PLR0124  NaN: not measured
            print(f"  {what:4} A/B {one / other:6.3f}{_verdict(one / other, targets.get(what))}")
    for what, most, unit in ((w, t.most, _UNITS[w[6:]]) for w, t in targets.items() if w.startswith("limit_")):
        value = max(getattr(cost, what[6:]) for cost in a_costs)
        print(f"  {what[6:]:4} A   {value:6.1f} {unit}{_verdict(value, Target(most))}")
    sys.stdout.flush()


def _total(costs: Sequence[Cost], what: str) -> float:
    values = [getattr(cost, what) for cost in costs]
    return max(values) if what == "rss" else sum(values)


def _verdict(value: float, target: Target | None) -> str:
    if target is None:
        return ""
    floor = f", floor {target.floor:g}" if target.floor is not None else ""
    return f"  (target {target.most:g}{floor}): {'met' if value <= target.most else 'MISSED'}"
