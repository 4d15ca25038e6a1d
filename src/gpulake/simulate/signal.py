"""What each machine really does in each second, as exact integrals over its hours and over its workers' spans.

A machine's state changes only when an instance starts or ends there, or when an hour begins. Between two such moments every rate
is constant, so its integral is rate x seconds; sums of those give any span's mean without stepping through time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Flags, Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.instances import Rows
from gpulake.simulate.reference import MACHINE_TYPES
from gpulake.simulate.tasks import Tasks
from gpulake.simulate.usage import PER_PERCENT, Usage

_EVENTS_AT_A_TIME = 600_000
_BASE_CPU_PCT = {"MISC": 16.0, "CPU": 12.0, "P100": 9.0, "T4": 7.0, "V100": 14.0, "V100M32": 14.0}
_KERNEL_SHARE = {"MISC": 0.24, "CPU": 0.2, "P100": 0.21, "T4": 0.16, "V100": 0.36, "V100M32": 0.45}
_CPU_CEILING_PCT = 96.0


@dataclass(frozen=True)
class Host:
    """Lasting traits of each machine's processors: base load, share of kernel time, waiting for disks."""

    base_pct: Floats
    kernel_share: Floats
    iowait_pct: Floats


@dataclass(frozen=True)
class MachineHours:
    """One entry per machine and hour of a few neighbouring machines; integrals over the hour, `covered_` over its observed seconds."""

    machine: Ints
    hour_start_s: Ints
    allocated_mgpu_s: Ints
    active_mgpu_s: Ints
    gpu_pct_s: Floats
    cpu_pct_s: Floats
    covered_s: Ints
    covered_gpu_pct_s: Floats
    covered_cpu_pct_s: Floats


@dataclass(frozen=True)
class Means:
    """Machine means over each observed worker's span: rows of the instance table, in no order."""

    row: Ints
    gpu_pct: Floats
    cpu_pct: Floats
    workers: Floats


def draw_hosts(machines: Machines, dice: Dice) -> Host:
    """Draw the traits of every machine around its type's."""
    rng = dice.on("hosts")
    names = [MACHINE_TYPES[number] for number in machines.gpu_type]
    base = np.array([_BASE_CPU_PCT[name] for name in names]) * np.exp(0.3 * rng.standard_normal(len(names)))
    kernel = np.clip(
        np.array([_KERNEL_SHARE[name] for name in names]) * np.exp(0.15 * rng.standard_normal(len(names))), 0.05, 0.6
    )
    iowait = 0.0029 * np.exp(0.55 * rng.standard_normal(len(names)))
    return Host(base, kernel, iowait)


def sweep(
    rows: Rows, tasks: Tasks, usage: Usage, observed: Flags, *, machines: Machines, hosts: Host, activity: Activity
) -> Iterator[tuple[MachineHours, Means]]:
    """Yield the true hours and the observed spans' means, a few machines at a time."""
    placed = np.flatnonzero(rows.start_s >= 0)
    placed = placed[np.argsort(rows.machine[placed].astype(np.int16), kind="stable")]
    bounds = np.searchsorted(rows.machine[placed], np.arange(len(machines) + 1))
    hours = activity.factor.shape[1]
    first = 0
    while first < len(machines):
        last = first + 1
        while (
            last < len(machines)
            and 2 * (bounds[last + 1] - bounds[first]) + (last + 1 - first) * hours < _EVENTS_AT_A_TIME
        ):
            last += 1
        members = placed[bounds[first] : bounds[last]]
        yield _Sweep(rows, members, first=first, last=last, activity=activity).integrate(
            tasks, usage, observed, machines=machines, hosts=hosts
        )
        first = last


class _Sweep:
    """Moments of some machines in order of machine and time, and the running levels between them."""

    def __init__(self, rows: Rows, members: Ints, *, first: int, last: int, activity: Activity) -> None:
        window = activity.window
        self._rows, self._members, self._activity = rows, members, activity
        self._machines = np.arange(first, last)
        self._hours = activity.factor.shape[1]
        number, grid = len(members), self._hours + 1
        machine = rows.machine[members].astype(np.int64) - first
        span = window.end_s - window.start_s + 1
        moments = np.concatenate(
            (
                machine * span + (rows.start_s[members] - window.start_s),
                machine * span + (rows.end_s[members] - window.start_s),
                np.repeat(np.arange(last - first) * span, grid) + np.tile(np.arange(grid) * 3_600, last - first),
            )
        )
        # The event's own number in the low bits makes every key different, so the order never depends on the sorting method
        bits = len(moments).bit_length()
        keys = np.sort((moments << bits) | np.arange(len(moments)))
        self._order = keys & ((1 << bits) - 1)
        at = keys >> bits
        self._machine, since = at // span, at % span
        self._seconds = np.diff(at, append=at[-1])
        # From a machine's last moment to the next machine's first no time passes
        self._seconds[self._machine != np.append(self._machine[1:], -1)] = 0
        self._hour = np.minimum(since // 3_600, self._hours - 1)
        place = np.empty(len(moments), dtype=np.int64)
        place[self._order] = np.arange(len(moments))
        self._starts, self._ends, self._grid = place[:number], place[number : 2 * number], place[2 * number :]

    def _level(self, amount: Ints) -> Ints:
        """Sum of the amounts of the instances present after each moment."""
        change = np.zeros(len(self._order), dtype=np.int64)
        change[self._starts], change[self._ends] = amount, -amount
        return np.cumsum(change, out=change)

    def _by_hour(self, values: Floats | Ints) -> Floats | Ints:
        """Sum of the values of each machine-hour's moments."""
        sums = np.add.reduceat(values, self._grid)
        result: Floats | Ints = sums.reshape(-1, self._hours + 1)[:, :-1].ravel()
        return result

    def _over(self, values: Floats, seen: Flags) -> Floats:
        """Mean of a rate, given as its integral per moment, over each seen member's span."""
        total = np.concatenate(([0.0], np.cumsum(values)))
        members = self._members[seen]
        seconds = self._rows.end_s[members] - self._rows.start_s[members]
        result: Floats = np.maximum(total[self._ends[seen]] - total[self._starts[seen]], 0.0) / np.maximum(seconds, 1)
        return np.where(result < 1e-7, 0.0, result)

    def integrate(
        self, tasks: Tasks, usage: Usage, observed: Flags, *, machines: Machines, hosts: Host
    ) -> tuple[MachineHours, Means]:
        """Integrate everything that the truth and the metric table need."""
        members, seconds = self._members, self._seconds
        real = self._machine + self._machines[0]
        factor = self._activity.factor[real, self._hour]
        swinging = self._level(usage.swinging[members]) * factor
        gpu_pct = (swinging + self._level(usage.steady[members])) / PER_PERCENT
        gpu_pct = np.minimum(gpu_pct, 100.0 * machines.true_gpus[real])
        active_pct = (swinging + self._level(usage.within[members])) / PER_PERCENT
        cores_pct = self._level(np.rint(usage.cpu_pct[members] * 1_000).astype(np.int64)) / 1_000 / machines.cores[real]
        busy = hosts.base_pct[real] * (0.5 + 0.7 * factor) + cores_pct
        cpu_pct = _CPU_CEILING_PCT * (1 - np.exp(-busy / _CPU_CEILING_PCT))
        seen = observed[members]
        covered = np.where(self._level(seen.astype(np.int64)) > 0, seconds, 0)
        held = self._level(tasks.plan_gpu[self._rows.task[members]] * 10)
        present = self._level(np.ones(len(members), dtype=np.int64))
        means = Means(
            members[seen],
            self._over(gpu_pct * seconds, seen),
            self._over(cpu_pct * seconds, seen),
            self._over((present * seconds).astype(np.float64), seen),
        )
        cpu_pct = cpu_pct + hosts.iowait_pct[real]
        window = self._activity.window
        hours = MachineHours(
            machine=np.repeat(self._machines, self._hours),
            hour_start_s=np.tile(window.start_s + np.arange(self._hours) * 3_600, len(self._machines)),
            allocated_mgpu_s=self._by_hour(held * seconds).astype(np.int64),
            active_mgpu_s=np.rint(self._by_hour(active_pct * seconds) * 10).astype(np.int64),
            gpu_pct_s=self._by_hour(gpu_pct * seconds).astype(np.float64),
            cpu_pct_s=self._by_hour(cpu_pct * seconds).astype(np.float64),
            covered_s=self._by_hour(covered).astype(np.int64),
            covered_gpu_pct_s=self._by_hour(gpu_pct * covered).astype(np.float64),
            covered_cpu_pct_s=self._by_hour(cpu_pct * covered).astype(np.float64),
        )
        return hours, means
