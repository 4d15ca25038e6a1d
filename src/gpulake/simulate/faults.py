"""Faults to inject: what goes wrong, where, and during which hours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gpulake.errors import UsageError
from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.instances import Rows
from gpulake.simulate.population import Jobs, Window
from gpulake.simulate.tasks import Tasks

FLEET = -1
LOW_USE, IDLE_MACHINE, SLOW_MACHINE = "fleet_low_use", "machine_zero_use", "machine_low_use"
USER_BURST, IDLE_HOLD, FAILING_JOBS = "user_burst", "user_idle_hold", "failing_jobs"
OUTAGE, TELEMETRY_GAP = "outage", "telemetry_gap"

LEAST_DAYS_OF_MANY = 34
"""As many days as the faults of the whole fleet need, for each to have one of its own."""

_QUIET_DAYS = 14
"""Days without a fault at the begin: what is usual must be known before anything can be unusual."""

# (kind, first hour of the day, hours, magnitude): one each on a day of its own
_OF_THE_FLEET = (
    *(
        (LOW_USE, 0, 24, 0.25),
        (LOW_USE, 0, 24, 0.4),
        (LOW_USE, 0, 24, 0.6),
        (LOW_USE, 10, 6, 0.1),
        (LOW_USE, 14, 6, 0.25),
    ),
    *((FAILING_JOBS, 0, 24, 0.3), (FAILING_JOBS, 0, 24, 0.5), (FAILING_JOBS, 0, 24, 0.7)),
    *((OUTAGE, 9, 6, 0.0), (OUTAGE, 0, 24, 0.0), (TELEMETRY_GAP, 8, 12, 0.0), (TELEMETRY_GAP, 0, 24, 0.0)),
)
_OF_MACHINES = (
    *((IDLE_MACHINE, hours, 0.0) for hours in (8, 12, 24, 36, 48, 48)),
    *((SLOW_MACHINE, hours, 0.3) for hours in (24, 48)),
)
_LEAST_HELD = 0.3
"""Share of its GPUs that are held on a machine that falls ill: on an empty one nothing would be wrong."""

HOLDS = ((2, 4), (4, 4), (8, 4))
"""(GPUs, days) that users hold and do nothing with."""


@dataclass(frozen=True)
class Fault:
    """One fault: `machine` is FLEET for all. `magnitude` says how strong it is.

    It is the factor on use of what does little; of a burst the number of jobs; of held GPUs how many; of failing jobs the share of
    the day's; 0 of what does nothing at all, or is not measured at all.
    """

    kind: str
    machine: int
    user: int
    start_s: int
    end_s: int
    magnitude: float

    @property
    def cuts_use(self) -> bool:
        """Whether it multiplies the use of running instances."""
        return self.kind in {LOW_USE, IDLE_MACHINE, SLOW_MACHINE}


def plan_faults(machines: Machines, window: Window, dice: Dice) -> tuple[Fault, ...]:
    """Two days on which every instance of the fleet uses little, and a few machines whose GPUs do nothing for hours."""
    rng = dice.on("faults")
    faults = []
    for at, factor in ((0.6, 0.25), (0.83, 0.4))[: 2 if window.days >= 14 else 1]:
        start = window.start_s + int(window.days * (at + rng.uniform(-0.03, 0.03))) * 86_400
        faults.append(Fault(LOW_USE, FLEET, -1, start, start + 86_400, factor))
    with_gpus = np.flatnonzero(machines.gpus > 0)
    for machine in rng.choice(with_gpus, size=min(max(3, len(machines) // 100), len(with_gpus)), replace=False):
        hours = int(rng.integers(8, 49))
        start = window.start_s + int(rng.integers(0, max(window.days * 24 - hours, 1))) * 3_600
        faults.append(Fault(IDLE_MACHINE, int(machine), -1, start, min(start + hours * 3_600, window.end_s), 0.0))
    return tuple(faults)


def plan_of_fleet(window: Window, dice: Dice) -> tuple[Fault, ...]:
    """A dozen faults of the whole fleet, of four kinds, two days apart or more, in an order of the dice.

    Raises UsageError for a window in which they would lie closer.
    """
    if window.days < LEAST_DAYS_OF_MANY:
        raise UsageError(
            f"many faults do not fit into {window.days} days",
            do=f"give --days {LEAST_DAYS_OF_MANY} or more, or --faults for a few",
        )
    rng = dice.on("faults of the fleet")
    edges = np.linspace(_QUIET_DAYS, window.days - 1, len(_OF_THE_FLEET) + 1).astype(np.int64)
    days = [int(first) for first, _ in pairwise(edges)]
    faults = []
    for day, number in zip(days, rng.permutation(len(_OF_THE_FLEET)), strict=True):
        kind, hour, hours, magnitude = _OF_THE_FLEET[number]
        start = window.start_s + day * 86_400 + hour * 3_600
        faults.append(Fault(kind, FLEET, -1, start, start + hours * 3_600, magnitude))
    return tuple(faults)


def plan_of_machines(rows: Rows, tasks: Tasks, machines: Machines, window: Window, dice: Dice) -> tuple[Fault, ...]:
    """Machines that do nothing, or little, for some hours in which jobs hold their GPUs; each machine once."""
    rng = dice.on("faults of machines")
    spans = [
        window.start_s + int(rng.integers(_QUIET_DAYS * 24, window.days * 24 - hours)) * 3_600
        for _, hours, _ in _OF_MACHINES
    ]
    faults: list[Fault] = []
    for (kind, hours, magnitude), start in zip(_OF_MACHINES, spans, strict=True):
        end = start + hours * 3_600
        held = _held_gpu_s(rows, tasks, machines, start, end)
        possible = (held >= _LEAST_HELD * machines.gpus * (end - start)) & (machines.gpus > 0)
        possible[[fault.machine for fault in faults]] = False
        if not possible.any():
            possible = held == held.max()
        faults.append(Fault(kind, int(rng.choice(np.flatnonzero(possible))), -1, start, end, magnitude))
    return tuple(faults)


def _held_gpu_s(rows: Rows, tasks: Tasks, machines: Machines, start_s: int, end_s: int) -> Floats:
    inside = np.flatnonzero((rows.start_s >= 0) & (rows.start_s < end_s) & (rows.end_s > start_s))
    seconds = np.minimum(rows.end_s[inside], end_s) - np.maximum(rows.start_s[inside], start_s)
    held = seconds * (tasks.plan_gpu[rows.task[inside]] / 100)
    result: Floats = np.bincount(rows.machine[inside], weights=held, minlength=len(machines)).astype(np.float64)
    return result


def burst_of(jobs: Jobs) -> tuple[Fault, ...]:
    """The user bursts that the jobs contain, if any, in the order of their begin."""
    bursts = []
    for user in np.unique(jobs.user[jobs.burst]):
        moved = np.flatnonzero(jobs.burst & (jobs.user == user))
        start, end = int(jobs.submit_s[moved].min()), int(jobs.submit_s[moved].max()) + 1
        bursts.append(Fault(USER_BURST, FLEET, int(user), start, end, float(len(moved))))
    return tuple(sorted(bursts, key=lambda burst: burst.start_s))


def holds_of(jobs: Jobs, tasks: Tasks, rows: Rows, held: Ints) -> tuple[Fault, ...]:
    """The GPUs that users hold for nothing in those tasks, from when the first ran until the last ended."""
    faults = []
    for task in held:
        mine = np.flatnonzero((rows.task == task) & (rows.start_s >= 0))
        if len(mine):
            start, end = int(rows.start_s[mine].min()), int(rows.end_s[mine].max())
            gpus = float(tasks.plan_gpu[task] * tasks.inst_num[task]) / 100
            faults.append(Fault(IDLE_HOLD, FLEET, int(jobs.user[tasks.job[task]]), start, end, gpus))
    return tuple(faults)
