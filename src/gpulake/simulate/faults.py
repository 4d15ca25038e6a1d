"""Faults to inject: what goes wrong, where, and during which hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.population import Jobs, Window

FLEET = -1
LOW_USE, IDLE_MACHINE, USER_BURST = "fleet_low_use", "machine_zero_use", "user_burst"


@dataclass(frozen=True)
class Fault:
    """One fault: `machine` is FLEET for all; `magnitude` is the factor on use, or the number of jobs of a burst."""

    kind: str
    machine: int
    user: int
    start_s: int
    end_s: int
    magnitude: float

    @property
    def cuts_use(self) -> bool:
        """Whether it multiplies the use of running instances."""
        return self.kind in {LOW_USE, IDLE_MACHINE}


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


def burst_of(jobs: Jobs) -> tuple[Fault, ...]:
    """The user burst that the jobs contain, if any."""
    moved = np.flatnonzero(jobs.burst)
    if not len(moved):
        return ()
    start, end = int(jobs.submit_s[moved].min()), int(jobs.submit_s[moved].max()) + 1
    return (Fault(USER_BURST, FLEET, int(jobs.user[moved[0]]), start, end, float(len(moved))),)
