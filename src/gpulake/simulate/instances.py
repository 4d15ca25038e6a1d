"""Rows of the instance table: one per attempt of an instance, with its status and the times that the trace shows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.curves import Curve, Flags, Ints, apportion, choose, deal
from gpulake.simulate.dice import Dice
from gpulake.simulate.population import FAILED, INTERRUPTED, RUNNING, TERMINATED, WAITING, Jobs, Window, status_quotas
from gpulake.simulate.tasks import Tasks

NEVER = -1

_LOST_ATTEMPT_S = Curve.through(((0.5, 180.0), (0.9, 1_200.0)), least=5.0, most=4_000.0)
_RESTART_S = 11
_SHORT_S = 60

_FAILED_TASK_MODES = ((INTERRUPTED, 0.62), (RUNNING, 0.23), (TERMINATED, 0.15))
"""What the other instances of a failed gang mostly are, by real tasks' mixtures of statuses."""
_PARTLY_WAITING_SHARE = 0.12


@dataclass(frozen=True)
class Rows:
    """One entry per row of the instance table, in its order; placement fills in the last four arrays."""

    task: Ints
    instance: Ints
    opens_task: Flags
    status: Ints
    wish_s: Ints
    run_s: Ints
    start_s: Ints
    end_s: Ints
    machine: Ints
    first_gpu: Ints

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.task)


@dataclass(frozen=True)
class Shown:
    """What the trace shows of each row: its times where the status lets it, and which row's worker it shares."""

    start: Flags
    end: Flags
    worker_row: Ints


def draw_rows(jobs: Jobs, tasks: Tasks, dice: Dice) -> Rows:
    """Draw instances and their attempts; what waits for ever gets no wish to start."""
    rng = dice.on("attempts")
    # Small types: at full scale every array here has 7.5 million entries
    instances = np.repeat(np.arange(len(tasks), dtype=np.int32), tasks.inst_num)
    number = len(instances)
    first = np.cumsum(tasks.inst_num) - tasks.inst_num
    place = np.arange(number, dtype=np.int32) - np.repeat(first.astype(np.int32), tasks.inst_num)
    status = _final_statuses(tasks, instances, place, dice)
    attempts = _attempts(tasks.status.astype(np.int8)[instances], status, dice)
    row_instance = np.repeat(np.arange(number, dtype=np.int32), attempts)
    task = instances[row_instance]
    begins = np.cumsum(attempts) - attempts
    is_last = np.zeros(len(task), dtype=bool)
    is_last[begins + attempts - 1] = True
    row_status = np.where(is_last, status[row_instance], np.int8(FAILED))
    run_s = np.maximum(_jittered(tasks.run_s.astype(np.int32)[task], rng), 1)
    early = np.flatnonzero(~is_last)
    run_s[early] = np.minimum(run_s[early], np.floor(_LOST_ATTEMPT_S.quantile(rng.random(len(early)))).astype(np.int64))
    run_s[_instant(row_status, run_s, dice)] = 0
    spent = np.where(is_last, 0, run_s + _RESTART_S)
    before = np.cumsum(spent, dtype=np.int64) - spent
    submit_s = jobs.submit_s[tasks.job]
    wish = (submit_s + tasks.wait_s).astype(np.int32)[task] + _gang_offsets(tasks, instances, place, dice)[row_instance]
    wish += (before - before[begins][row_instance]).astype(np.int32)
    opens = np.zeros(len(task), dtype=bool)
    opens[begins[first[tasks.inst_num > 0]]] = True
    return Rows(
        task=task,
        instance=row_instance,
        opens_task=opens,
        status=row_status,
        wish_s=np.where(row_status == WAITING, np.int32(NEVER), wish),
        run_s=run_s,
        start_s=np.full(len(task), NEVER, dtype=np.int32),
        end_s=np.full(len(task), NEVER, dtype=np.int32),
        machine=np.full(len(task), NEVER, dtype=np.int16),
        first_gpu=np.full(len(task), NEVER, dtype=np.int8),
    )


def _final_statuses(tasks: Tasks, task: Ints, place: Ints, dice: Dice) -> Ints:
    """Status of each instance's last attempt, by its task's."""
    rng = dice.on("instance statuses")
    mode = rng.choice(3, size=len(tasks), p=[share for _, share in _FAILED_TASK_MODES])
    other = np.array([status for status, _ in _FAILED_TASK_MODES], dtype=np.int8)[mode]
    partly = rng.random(len(tasks)) < _PARTLY_WAITING_SHARE
    luck = rng.random(len(task), dtype=np.float32)
    of_task = tasks.status.astype(np.int8)[task]
    status = of_task.copy()
    gang = place > 0
    failed = gang & (of_task == FAILED) & (luck > 0.12)
    status[failed] = np.where(luck[failed] > 0.97, WAITING, other[task[failed]])
    status[gang & (of_task == RUNNING) & partly[task] & (luck > 0.5)] = WAITING
    return status


def _attempts(task_status: Ints, status: Ints, dice: Dice) -> Ints:
    """Rows of each instance: one, or several for the 3 % that are retried, mostly where something failed."""
    rng = dice.on("retries")
    rows = np.array([rows for rows, _ in reference.ATTEMPTS_OF_RETRIED])
    weights = np.array([count for _, count in reference.ATTEMPTS_OF_RETRIED], dtype=np.float64)
    extra = float((rows - 1) @ weights / weights.sum())
    retried = round((reference.ROWS_PER_INSTANCE - 1) * len(status) / extra)
    # Exponential keys choose by weight without replacement
    weight = np.where((task_status == FAILED) | (task_status == RUNNING), np.float32(4), np.float32(1))
    key = -rng.standard_exponential(len(status), dtype=np.float32) / np.where(
        status == WAITING, np.float32(1e-9), weight
    )
    chosen = np.flatnonzero(choose(key, retried))
    result = np.ones(len(status), dtype=np.int32)
    result[chosen] = rows[deal(rng.random(len(chosen)), weights)]
    return result


def _jittered(run_s: Ints, rng: np.random.Generator) -> Ints:
    """Members of a gang end within a few per cent of each other; short ones at the same poll."""
    noise = 1 + 0.03 * rng.standard_normal(len(run_s), dtype=np.float32)
    jittered: Ints = np.where(run_s < 200, run_s, np.rint(run_s * np.clip(noise, 0.85, 1.15))).astype(np.int32)
    return jittered


def _instant(status: Ints, run_s: Ints, dice: Dice) -> Ints:
    """Rows that end in the second in which they start: a few of the shortest that end well."""
    short = np.flatnonzero((status == TERMINATED) & (run_s < _SHORT_S))
    count = max(1, round(reference.ZERO_LENGTH_SHARE * len(status)))
    return dice.on("zero length").permutation(short)[:count]


def _gang_offsets(tasks: Tasks, task: Ints, place: Ints, dice: Dice) -> Ints:
    """Seconds by which each instance starts after the first of its task."""
    rng = dice.on("gang offsets")
    spread = reference.GANG_SPREAD_S.quantile(rng.random(len(tasks)))
    part = rng.random(len(task), dtype=np.float32) ** 2
    part[place == tasks.inst_num.astype(np.int32)[task] - 1] = 1.0
    part[place == 0] = 0.0
    offsets: Ints = np.floor(spread.astype(np.float32)[task] * part).astype(np.int32)
    return offsets


def close_at_window_end(rows: Rows, window: Window) -> None:
    """What starts after the window never started; what ends after it is still Running, and was seen until the end only."""
    _never_started(rows, np.flatnonzero(rows.start_s >= window.end_s))
    rows.status[rows.end_s >= window.end_s] = RUNNING
    np.minimum(rows.end_s, window.end_s, out=rows.end_s)


def leave_waiting(rows: Rows, jobs: Jobs, tasks: Tasks, dice: Dice, *, spared: Ints | None = None) -> None:
    """Let as many jobs wait for ever as the real job table has: beside what the window's end kept from starting, some that ran.

    Jobs that are `spared` run in any case.

    They leave their slots empty. Wide jobs of one task and of one attempt each wait: the real ones have 1.01 tasks.
    """
    rng = dice.on("waiting")
    first_row = np.searchsorted(rows.task, tasks.first_of_job)
    number = np.diff(np.append(first_row, len(rows)))
    never = np.maximum.reduceat(rows.start_s, first_row) < 0
    *_, quota = status_quotas(len(jobs))
    first = tasks.first_of_job
    single = np.diff(np.append(first, len(tasks))) == 1
    possible = single & (jobs.status == TERMINATED) & ~never & (number == tasks.inst_num[first])
    possible[[] if spared is None else spared] = False
    score = np.log(tasks.inst_num[first]) + 2.0 * rng.standard_normal(len(jobs))
    chosen = np.flatnonzero(choose(np.where(possible, score, -np.inf), quota - int(never.sum())) & possible)
    row = np.repeat(first_row[chosen], number[chosen])
    row += np.arange(len(row)) - np.repeat(np.cumsum(number[chosen]) - number[chosen], number[chosen])
    _never_started(rows, row)


def _never_started(rows: Rows, members: Ints) -> None:
    rows.status[members] = WAITING
    for filled in (rows.start_s, rows.end_s, rows.machine, rows.first_gpu):
        filled[members] = NEVER


def hide(rows: Rows, tasks: Tasks, window: Window, dice: Dice) -> Shown:
    """Decide what the trace shows, at the real rates of null times per status and of shared worker names."""
    rng = dice.on("nulls")
    start = rows.status == TERMINATED
    end = start | (rows.status == INTERRUPTED)
    for status, name in ((FAILED, "Failed"), (RUNNING, "Running")):
        inside = np.flatnonzero(rows.status == status)
        kinds = reference.NULLS_OF_STATUS[name]
        cut = rows.end_s[inside] >= window.end_s
        # What still runs at the end can show no end; it is dealt among the others of its status all the same
        dealt = rng.permutation(
            np.repeat(np.arange(len(kinds)), apportion(np.array([n for _, n in kinds], dtype=np.float64), len(inside)))
        )
        shows_start = np.array(["start" in kind for kind, _ in kinds])
        shows_end = np.array(["end" in kind and "neither" not in kind for kind, _ in kinds])
        start[inside] = shows_start[dealt]
        end[inside] = shows_end[dealt] & ~cut
    return Shown(start, end, _shared_workers(rows, tasks, dice))


def _shared_workers(rows: Rows, tasks: Tasks, dice: Dice) -> Ints:
    """Row whose worker name each row bears: its own, except for a few neighbours of one task on one machine."""
    own = np.arange(len(rows), dtype=np.int32)
    both = rows.status == TERMINATED
    pair = both[1:] & both[:-1] & (rows.task[1:] == rows.task[:-1]) & (rows.machine[1:] == rows.machine[:-1])
    pair &= rows.instance[1:] != rows.instance[:-1]
    pair &= tasks.gpu_type[rows.task[1:]] >= 0
    candidates = np.flatnonzero(pair) + 1
    # Every second candidate at most, so that names are shared by two
    candidates = candidates[np.concatenate(([True], np.diff(candidates) > 1))] if len(candidates) else candidates
    wanted = max(1, round(len(rows) * reference.SHARED_WORKER_SHARE / 2))
    chosen = dice.on("shared workers").permutation(candidates)[:wanted]
    own[chosen] = chosen - 1
    return own
