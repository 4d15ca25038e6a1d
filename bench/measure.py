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
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As users have it: a process that compiles our modules anew takes a quarter of a second for it."""
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


def run(
    command: Sequence[str],
    *,
    env: dict[str, str] | None = None,
    answer: Path | None = None,
    told: Callable[[str, int], None] | None = None,
) -> Cost:
    """Run one command to its end. Raises when it fails.

    Its standard output goes to the file `answer`; `told` is given each line of its standard error as it comes, and the
    command's process id.
    """
    with tempfile.TemporaryFile() as log:
        out = answer.open("wb") if answer else None
        started = time.monotonic()
        child = subprocess.Popen(
            list(command),
            stdout=out or log,
            stderr=subprocess.PIPE if told else log,
            env={**_ENVIRONMENT, **(env or {})},
            cwd=ROOT,
        )
        if told and child.stderr:
            for line in child.stderr:
                told(line.decode().strip(), child.pid)
                log.write(line)
            child.stderr.close()
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


def run_script(
    script: Callable[..., object], *arguments: object, env: dict[str, str] | None = None
) -> tuple[Cost, dict[str, float]]:
    """Run a function of a bench in a process of its own: what it cost, and the figures that it returned."""
    code = (
        "import json, sys; from importlib import import_module; "
        "print(json.dumps(getattr(import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:]) or {}))"
    )
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        name = script.__module__
        cost = run([PYTHON, "-c", code, name, script.__name__, *map(str, arguments)], env=env, answer=answer)
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
            print(f"  {what:4} A/B {one / other:6.3f}{verdict(one / other, targets.get(what))}")
    for what, most, unit in ((w, t.most, _UNITS[w[6:]]) for w, t in targets.items() if w.startswith("limit_")):
        value = max(getattr(cost, what[6:]) for cost in a_costs)
        print(f"  {what[6:]:4} A   {value:6.1f} {unit}{verdict(value, Target(most))}")
    sys.stdout.flush()


def cpu_of(pid: int) -> float:
    """CPU seconds of a process that runs, without its children's."""
    return _times(pid)[0]


def cpu_below(pid: int) -> float:
    """CPU seconds of a process's children: of those that run, and of those that it has waited for."""
    running = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _times(pid)[1] + sum(sum(_times(int(child))) for child in running)


def _times(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, below_user, below_system = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15])
    return user + system, below_user + below_system


def _total(costs: Sequence[Cost], what: str) -> float:
    values = [getattr(cost, what) for cost in costs]
    return max(values) if what == "rss" else sum(values)


def verdict(value: float, target: Target | None) -> str:
    """The target beside a figure, and whether it is met."""
    if target is None:
        return ""
    floor = f", floor {target.floor:g}" if target.floor is not None else ""
    return f"  (target {target.most:g}{floor}): {'met' if value <= target.most else 'MISSED'}"
