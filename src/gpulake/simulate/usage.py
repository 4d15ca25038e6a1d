"""What each instance really uses of its GPUs and cores while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Flags, Floats, Ints, choose, ranks
from gpulake.simulate.dice import Dice
from gpulake.simulate.faults import FLEET, Fault
from gpulake.simulate.instances import Rows
from gpulake.simulate.population import Jobs
from gpulake.simulate.tasks import Tasks

PER_PERCENT = 1_000_000
"""Rates are whole millionths of a percent: sums over a machine come back to exactly zero when the last instance ends."""

_BURST_USE_PCT = 88.0
_LEAST_OVER = 1.05
_USE_BUMP = np.array((0.1, 0.15, 1.3, 1.1, 1.9))
"""Work on stronger cards uses more of them: median machine_gpu per GPU in real rows, in the order of GPU_TYPES."""


@dataclass(frozen=True)
class Usage:
    """Per row, in millionths of a percent of one GPU: `swinging` times the machine's activity, plus `steady`.

    Only the few rows that exceed their request use steadily, so the part within the request is `swinging` x activity + `within`.
    """

    swinging: Ints
    steady: Ints
    within: Ints
    cpu_pct: Floats

    def gpu_pct_s(self, rows: Rows, members: Ints, activity: Activity) -> Floats:
        """Percent x seconds that each member used over its whole run."""
        return self._total(rows, members, activity, self.steady)

    def active_pct_s(self, rows: Rows, members: Ints, activity: Activity) -> Floats:
        """The same, at most what was asked for."""
        return self._total(rows, members, activity, self.within)

    def _total(self, rows: Rows, members: Ints, activity: Activity, fixed: Ints) -> Floats:
        machine, start, end = rows.machine[members], rows.start_s[members], rows.end_s[members]
        live = activity.until(machine, end) - activity.until(machine, start)
        result: Floats = (self.swinging[members] * live + fixed[members] * (end - start)) / PER_PERCENT
        return result


def draw_usage(
    rows: Rows,
    jobs: Jobs,
    tasks: Tasks,
    activity: Activity,
    dice: Dice,
    *,
    sensed: Flags,
    faults: tuple[Fault, ...] = (),
) -> Usage:
    """Draw every placed row's use: lifetime means of what has a sensor row, and of the rest, meet the sensor table's distribution.

    2.1 % use more than they asked for.
    What runs through a fault that cuts use follows the machine's activity, so that the fault reaches it.
    """
    rng = dice.on("use")
    placed = rows.start_s >= 0
    on_gpu = np.flatnonzero(placed & (tasks.gpu_type[rows.task] >= 0))
    task = rows.task[on_gpu]
    asked = tasks.plan_gpu[task].astype(np.float64)
    length = np.maximum(rows.end_s[on_gpu] - rows.start_s[on_gpu], 1)
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    score = by_group[jobs.group[tasks.job[task]]] + 0.5 * rng.standard_normal(len(on_gpu), dtype=np.float32)
    # Long runs are the ones that compute, and more is used of more
    score = score + 0.30 * np.log(length) + 1.1 * np.log(np.minimum(asked, 200.0)) + _USE_BUMP[tasks.gpu_type[task]]
    seen = sensed[on_gpu]
    share = np.empty(len(on_gpu))
    share[seen], share[~seen] = ranks(score[seen]), ranks(score[~seen])
    wanted = np.where(share < reference.GPU_USE_ZERO_SHARE, 0.0, reference.GPU_USE.quantile(share))
    wanted = np.where(jobs.burst[tasks.job[task]], np.minimum(asked, 100.0) * _BURST_USE_PCT / 100, wanted)
    possible = (asked < 100) & ~_cut_by(faults, rows, on_gpu)
    over = _over_users(wanted / asked, possible, rng, among=seen)
    over |= _over_users(wanted / asked, possible, rng, among=~seen)
    live = activity.until(rows.machine[on_gpu], rows.end_s[on_gpu]) - activity.until(
        rows.machine[on_gpu], rows.start_s[on_gpu]
    )
    mean_activity = np.maximum(live / length, 0.05)
    drawn = ~over & ~jobs.burst[tasks.job[task]]
    for members in (np.flatnonzero(seen & drawn), np.flatnonzero(~seen & drawn)):
        wanted[members] = _exchanged(wanted[members], asked[members] * mean_activity[members])
    amounts = [np.zeros(len(rows), dtype=np.int64) for _ in range(3)]
    swinging, steady, within = amounts
    swinging[on_gpu] = np.where(over, 0, np.rint(np.minimum(wanted / mean_activity, asked) * PER_PERCENT))
    steady[on_gpu] = np.where(over, np.rint(np.clip(wanted, _LEAST_OVER * asked, 2 * asked) * PER_PERCENT), 0)
    within[on_gpu] = np.minimum(steady[on_gpu], (asked * PER_PERCENT).astype(np.int64))
    return Usage(swinging, steady, within, _cpu_use(rows, jobs, tasks, placed, dice))


def _exchanged(wanted: Floats, most: Floats) -> Floats:
    """The same values in nearly the same order, none above its most where that can be: larger ones go to those that hold them."""
    values = np.sort(wanted)
    for _ in range(3):
        wanted = np.minimum(wanted, most)
        order = np.argsort(wanted, kind="stable")
        wanted = wanted.copy()
        wanted[order] = values
    return wanted


def _cut_by(faults: tuple[Fault, ...], rows: Rows, members: Ints) -> Flags:
    """Members that run while a fault cuts the use of their machine."""
    cut = np.zeros(len(members), dtype=bool)
    for fault in faults:
        if fault.cuts_use:
            meets = (rows.start_s[members] < fault.end_s) & (rows.end_s[members] > fault.start_s)
            cut |= meets & (True if fault.machine == FLEET else rows.machine[members] == fault.machine)
    return cut


def _over_users(used_of_asked: Floats, possible: Flags, rng: np.random.Generator, *, among: Flags) -> Flags:
    """Members that use more than they asked for: 2.1 % of some rows, those whose draw exceeds the request or comes nearest to it."""
    eager = np.minimum(used_of_asked, 1.0) + 0.05 * rng.random(len(used_of_asked))
    count = round(reference.GPU_USE_OVER_PLAN_SHARE * int(among.sum()))
    return choose(np.where(possible & among, eager, -1.0), count) & possible & among


def _cpu_use(rows: Rows, jobs: Jobs, tasks: Tasks, placed: Flags, dice: Dice) -> Floats:
    """Percent of a core, lifetime mean: steady over the run."""
    rng = dice.on("cpu use")
    inside = np.flatnonzero(placed)
    task = rows.task[inside]
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    score = by_group[jobs.group[tasks.job[task]]] + 0.6 * rng.standard_normal(len(inside), dtype=np.float32)
    score = (
        score
        + 0.5 * np.log(np.maximum(tasks.plan_cpu[task], 20.0) / 600)
        + 0.15 * np.log(np.maximum(tasks.plan_gpu[task], 10))
    )
    result = np.zeros(len(rows))
    result[inside] = np.round(reference.CPU_USE.quantile(ranks(score)), 3)
    return result


def with_sensor(rows: Rows, worker_row: Ints, dice: Dice) -> Flags:
    """Rows whose worker has a sensor row: 40 % of all, one per worker name."""
    share = reference.count_of("pai_sensor_table", "rows") / reference.count_of("pai_instance_table", "rows")
    return _dealt(rows, worker_row, share, dice, topic="sensors")


def with_metric(rows: Rows, worker_row: Ints, dice: Dice, *, end_s: int) -> Flags:
    """Rows whose worker has a machine_metric row: 27 % of all, a third of those of finished jobs."""
    share = reference.count_of("pai_machine_metric", "rows") / reference.count_of("pai_instance_table", "rows")
    return _dealt(rows, worker_row, share, dice, topic="metrics", before_s=end_s)


def _dealt(rows: Rows, worker_row: Ints, share: float, dice: Dice, *, topic: str, before_s: int | None = None) -> Flags:
    rng = dice.on(topic)
    possible = (rows.start_s >= 0) & (worker_row == np.arange(len(rows)))
    if before_s is not None:
        possible &= (rows.end_s > rows.start_s) & (rows.end_s < before_s)
    by_task = rng.random(int(rows.task.max()) + 1, dtype=np.float32)
    score = by_task[rows.task] + rng.random(len(rows), dtype=np.float32)
    # Finished work is recorded more often than what was lost: 44 % against 40 % over all rows
    score = np.where(rows.status == 0, score + 0.25, score)
    dealt: Flags = choose(np.where(possible, score, -1.0), round(share * len(rows))) & possible
    return dealt
